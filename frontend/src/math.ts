// Formulas: the markdown-it rules that find them, and KaTeX, loaded when the first one appears.
import type { Parser } from "./markdown"
import faces from "virtual:katex-faces"

interface Katex {
  renderToString(tex: string, options: Record<string, unknown>): string
}

let katex: Katex | null = null
let loading = false
const waiting = new Set<() => void>()
const kept = new Map<string, string>()

/** Call back once when KaTeX has come, so that formulas shown as source are drawn. */
export function onMathReady(callback: () => void): () => void {
  waiting.add(callback)
  return () => waiting.delete(callback)
}

function load(): void {
  if (loading) return
  loading = true
  for (const face of faces) {
    const url = new URL(`fonts/${face.file}`, import.meta.url)
    document.fonts.add(new FontFace(face.family, `url(${url})`, { style: face.style, weight: face.weight }))
  }
  import("katex").then(
    (module) => {
      katex = module.default as Katex
      for (const callback of waiting) callback()
    },
    () => {
      loading = false
    },
  )
}

export function mathHtml(tex: string, display: boolean, escape: (text: string) => string): string {
  const tag = display ? "div" : "span"
  if (!katex) {
    load()
    return `<${tag} class="tk-math tk-math-wait">${escape(tex)}</${tag}>`
  }
  const key = `${display ? 1 : 0}${tex}`
  let html = kept.get(key)
  if (html === undefined) {
    html = katex.renderToString(tex, {
      displayMode: display,
      throwOnError: false,
      trust: false,
      strict: false,
      maxSize: 20,
      maxExpand: 500,
      errorColor: "inherit",
    })
    if (kept.size > 500) kept.delete(kept.keys().next().value as string)
    kept.set(key, html)
  }
  return `<${tag} class="tk-math${display ? " tk-math-block" : ""}">${html}</${tag}>`
}

function closing(source: string, mark: string, from: number): number {
  let found = source.indexOf(mark, from)
  while (found > 0 && mark.startsWith("$") && source[found - 1] === "\\") found = source.indexOf(mark, found + 1)
  return found
}

export function mathPlugin(md: Parser): void {
  md.inline.ruler.before("escape", "math", (state, silent) => {
    const { src, pos } = state
    let open = ""
    let close = ""
    if (src.startsWith("$$", pos)) open = close = "$$"
    else if (src[pos] === "$") open = close = "$"
    else if (src.startsWith("\\(", pos)) [open, close] = ["\\(", "\\)"]
    else if (src.startsWith("\\[", pos)) [open, close] = ["\\[", "\\]"]
    else return false
    const start = pos + open.length
    let end = closing(src, close, start)
    if (open === "$") {
      // Pandoc's rule, so that prices stay prices: no blank inside the dollars, no digit after them.
      if (/^\s/.test(src.slice(start, start + 1))) return false
      while (end > 0 && (/\s/.test(src[end - 1] ?? "") || /\d/.test(src[end + 1] ?? ""))) end = closing(src, "$", end + 1)
    }
    if (end <= start || end > state.posMax || !src.slice(start, end).trim()) return false
    if (!silent) {
      const token = state.push("math_inline", "math", 0)
      token.content = src.slice(start, end)
      token.markup = open
    }
    state.pos = end + close.length
    return true
  })

  md.block.ruler.before(
    "fence",
    "math_block",
    (state, startLine, endLine, silent) => {
      const begin = (state.bMarks[startLine] ?? 0) + (state.tShift[startLine] ?? 0)
      const line = state.src.slice(begin, state.eMarks[startLine])
      const open = line.startsWith("$$") ? "$$" : line.startsWith("\\[") ? "\\[" : ""
      if (!open) return false
      const close = open === "$$" ? "$$" : "\\]"
      const rest = line.slice(2)
      const same = rest.indexOf(close)
      if (same >= 0 && rest.slice(same + 2).trim()) return false
      if (silent) return true
      const parts: string[] = []
      let next = startLine + 1
      let ended = same >= 0
      parts.push(ended ? rest.slice(0, same) : rest)
      while (!ended && next < endLine) {
        const text = state.src.slice((state.bMarks[next] ?? 0) + (state.tShift[next] ?? 0), state.eMarks[next])
        const at = text.indexOf(close)
        ended = at >= 0
        parts.push(ended ? text.slice(0, at) : text)
        next += 1
      }
      const token = state.push("math_block", "math", 0)
      token.block = true
      token.content = parts.join("\n")
      token.info = ended ? "" : "open"
      token.markup = open
      token.map = [startLine, next]
      state.line = next
      return true
    },
    { alt: ["paragraph", "reference", "blockquote", "list"] },
  )

  const escape = md.utils.escapeHtml
  md.renderer.rules.math_inline = (tokens, index) => {
    const token = tokens[index]!
    return mathHtml(token.content, token.markup === "$$" || token.markup === "\\[", escape).replace(/^<div(.*)div>$/s, "<span$1span>")
  }
  md.renderer.rules.math_block = (tokens, index) => {
    const token = tokens[index]!
    if (token.info === "open") return `<div class="tk-math tk-math-wait">${escape(token.content.trim())}</div>`
    return mathHtml(token.content, true, escape)
  }
}
