// What the house reads in a model's text beyond CommonMark, the same as manuscript/reader.py does for documents:
// sub-items two blanks in, three tags of HTML, the direction of each block.
import type { Parser } from "./markdown"

const TAG = /<(br)\s*\/?>|<(sub|sup)>/iy
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u
const WITH_DIRECTION = new Set(["paragraph_open", "heading_open", "list_item_open", "th_open", "td_open", "blockquote_open"])
const ITEM = /^( *)([-*+]|\d{1,9}[.)])( +)\S/
const FENCE = /^ *(`{3,}|~{3,})/
const LEAST = 2 // blanks that make a sub-item

export function readingPlugin(md: Parser): void {
  md.core.ruler.after("normalize", "sub_items", (state) => {
    state.src = indentSubItems(state.src)
  })
  md.core.ruler.push("direction", (state) => {
    let opened: typeof state.tokens = []
    for (const token of state.tokens) {
      if (WITH_DIRECTION.has(token.type)) opened.push(token)
      else if (token.type === "inline") {
        if (runsRightToLeft(token.content)) for (const block of opened) block.attrSet("dir", "rtl")
        opened = []
      }
    }
  })
  md.inline.ruler.before("autolink", "tags", (state, silent) => {
    TAG.lastIndex = state.pos
    const match = TAG.exec(state.src)
    if (!match || TAG.lastIndex > state.posMax) return false
    const after = TAG.lastIndex
    if (match[1]) {
      if (!silent) state.push("hardbreak", "br", 0)
      state.pos = after
      return true
    }
    const name = match[2]!.toLowerCase()
    const end = `</${name}>`
    const closing = state.src.slice(after, state.posMax).toLowerCase().indexOf(end)
    if (closing < 0) return false
    if (!silent) {
      const last = state.posMax
      state.push(`${name}_open`, name, 1)
      state.pos = after
      state.posMax = after + closing
      state.md.inline.tokenize(state)
      state.push(`${name}_close`, name, -1)
      state.posMax = last
    }
    state.pos = after + closing + end.length
    return true
  })
}

/** Whether the first letter of a text belongs to a script that is written from the right. */
export function runsRightToLeft(text: string): boolean {
  const letter = /\p{L}/u.exec(text)
  return letter !== null && RIGHT_TO_LEFT.test(letter[0])
}

/** Move sub-items that stand two blanks below a numbered item to where CommonMark wants them; see manuscript/indent.py. */
export function indentSubItems(text: string): string {
  let fence = ""
  let [item, content, moved, shift] = [-1, -1, 0, 0]
  return text
    .split("\n")
    .map((line) => {
      const filled = line.trim() !== ""
      const indent = line.length - line.replace(/^ +/, "").length
      if (filled && !fence) {
        const match = ITEM.exec(line)
        if (indent < moved) moved = shift = 0
        const below = match !== null && item >= 0 && item + LEAST <= indent && indent < content
        if (shift === 0 && match && below && ["", "1"].includes(match[2]!.slice(0, -1))) {
          moved = indent
          shift = content - indent
        }
        if (shift === 0 && match && /\d/.test(match[2]![0]!)) {
          item = indent
          content = match[0].length - 1
        } else if (shift === 0 && indent <= Math.max(item, 0)) item = content = -1
      }
      fence = fenceAfter(line, fence)
      return filled ? " ".repeat(shift) + line : line
    })
    .join("\n")
}

function fenceAfter(line: string, fence: string): string {
  const match = FENCE.exec(line)
  if (!match) return fence
  if (!fence) return match[1]!
  const closes = match[1]![0] === fence[0] && match[1]!.length >= fence.length && line.trim() === match[1]
  return closes ? "" : fence
}
