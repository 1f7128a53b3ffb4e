// What the palette finds: every word typed must be there, and the closer it stands to the beginning the better.

export interface Item {
  kind: string
  id: string
  title: string
  note?: string
  /** Further words by which it is found; not shown. */
  words?: string
  keys?: string
  /** Unix seconds. */
  at?: number
  /** A message of the conversation, and what to mark in it. */
  message?: string
  marked?: string[]
  /** The server searched for the words already. */
  matched?: boolean
}

export interface Found {
  item: Item
  score: number
}

const AT_REST: Record<string, number> = { conversation: 6 }

/** Return the items that match, grouped by kind, the kind with the best match first; all in order without a query. */
export function ranked(items: Item[], query: string, kinds: string[]): Found[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const groups = new Map<string, Found[]>(kinds.map((kind) => [kind, []]))
  for (const item of items) {
    const score = words.length ? (item.matched ? Math.max(1, scored(item, words)) : scored(item, words)) : 1
    if (score > 0) groups.get(item.kind)?.push({ item, score })
  }
  const filled = [...groups.entries()].filter(([, group]) => group.length)
  if (!words.length) return filled.flatMap(([kind, group]) => group.slice(0, AT_REST[kind]))
  for (const [, group] of filled) group.sort((a, b) => b.score - a.score)
  filled.sort(([, a], [, b]) => b[0]!.score - a[0]!.score)
  return filled.flatMap(([, group]) => group)
}

function scored(item: Item, words: string[]): number {
  const title = item.title.toLowerCase()
  const rest = `${item.note ?? ""} ${item.words ?? ""}`.toLowerCase()
  let sum = 0
  for (const word of words) {
    const score = wordScore(title, word) || wordScore(rest, word) * 0.6
    if (!score) return 0
    sum += score
  }
  return sum / words.length
}

function wordScore(text: string, word: string): number {
  const at = text.indexOf(word)
  if (at === 0) return 10
  if (at > 0) return /[\p{L}\p{N}]/u.test(text[at - 1]!) && !/\p{Script=Han}/u.test(text[at]!) ? 5 : 8
  return word.length > 2 && inOrder(text, word) ? 2 : 0
}

/** Whether the letters of a word stand in a text in this order, close together. */
function inOrder(text: string, word: string): boolean {
  let at = -1
  let first = -1
  for (const letter of word) {
    at = text.indexOf(letter, at + 1)
    if (at < 0) return false
    if (first < 0) first = at
  }
  return at - first < word.length * 3
}
