// Marks stretches of an answer's source in the drawn text, without touching its nodes: the CSS
// Custom Highlight API. Where a browser has none, nothing is marked and the chip lists the passages.

export interface Stretch {
  start: number // code points in the source
  end: number
}

const LETTER = /[\p{L}\p{N}]/u
const all = new Map<Element, Range[]>()
const NAME = "tk-unsure"

/** Mark the stretches in `host`; the former marks of this host are gone. */
export function markStretches(host: Element, source: string, stretches: Stretch[]): number {
  const ranges = stretches.length ? rangesOf(host, source, stretches) : []
  if (ranges.length) all.set(host, ranges)
  else if (!all.delete(host)) return 0
  if (!("highlights" in CSS)) return 0
  for (const known of all.keys()) if (known !== host && !known.isConnected) all.delete(known) // a new one is drawn before it is placed
  CSS.highlights.set(NAME, new Highlight(...[...all.values()].flat()))
  return ranges.length
}

function rangesOf(host: Element, source: string, stretches: Stretch[]): Range[] {
  const places: [Text, number, number][] = []
  let drawn = ""
  const walker = document.createTreeWalker(host, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement?.closest(".katex, .tk-code-head") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  )
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    let at = 0
    for (const char of node.data) {
      if (LETTER.test(char)) {
        drawn += char
        for (let unit = 0; unit < char.length; unit += 1) places.push([node, at, at + char.length])
      }
      at += char.length
    }
  }
  const points = [...source]
  const ranges: Range[] = []
  for (const { start, end } of stretches) {
    const wanted = letters(points.slice(start, end))
    if (wanted.length < 4) continue
    const expected = letters(points.slice(0, start)).length
    const at = nearest(drawn, wanted, expected)
    if (at < 0) continue
    const range = document.createRange()
    const [first, from] = places[at]!
    const [last, , to] = places[at + wanted.length - 1]!
    range.setStart(first, from)
    range.setEnd(last, to)
    ranges.push(range)
  }
  return ranges
}

function letters(points: string[]): string {
  return points.filter((char) => LETTER.test(char)).join("")
}

/** Where `wanted` stands in `text`, nearest to where it is expected; links and formulas shift it a little. */
function nearest(text: string, wanted: string, expected: number): number {
  let best = -1
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (best < 0 || Math.abs(at - expected) < Math.abs(best - expected)) best = at
    if (at > expected) break
  }
  return best
}

/** Mark every place in `host` where one of these words stands, whatever its case. */
export function markWords(host: Element, words: string[]): void {
  if (!("highlights" in CSS)) return
  const wanted = words.map((word) => word.toLowerCase()).filter(Boolean)
  const ranges: Range[] = []
  const walker = document.createTreeWalker(host, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    const text = node.data.toLowerCase()
    for (const word of wanted) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
        const range = document.createRange()
        range.setStart(node, at)
        range.setEnd(node, Math.min(at + word.length, node.data.length))
        ranges.push(range)
      }
    }
  }
  CSS.highlights.set("tk-found", new Highlight(...ranges))
}
