// Formulas: the markdown-it rules that find them, and KaTeX, loaded when the first one appears.
import type { Parser } from "./markdown"
import faces from "virtual:katex-faces"

interface Katex {
  renderToString(tex: string, options: Record<string, unknown>): string
}

let katex: Katex | null = null
let loading = false
const waiting = new Set<() => void>()
const cached = new Map<string, string>()

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
  let html = cached.get(key)
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
    if (cached.size > 500) cached.delete(cached.keys().next().value as string)
    cached.set(key, html)
  }
  return `<${tag} class="tk-math${display ? " tk-math-block" : ""}">${html}</${tag}>`
}

function closing(source: string, mark: string, from: number): number {
  let position = source.indexOf(mark, from)
  while (position > 0 && mark.startsWith("$") && source[position - 1] === "\\") position = source.indexOf(mark, position + 1)
  return position
}

const FENCES: Record<string, string> = { "$$": "$$", "\\[": "\\]", "\\(": "\\)", $: "$" }
const ENVIRONMENT =
  /\\begin\{((?:equation|align|aligned|alignat|gather|gathered|multline|split|cases|eqnarray|[bpvVB]?matrix|array)\*?)\}/y
/** Between the marks stands a formula only if it looks like one: prices and names of variables do not. */
const LIKE_FORMULA = /[\\^_=<>+]|^[A-Za-z]{1,2}$|^[A-Za-z]\([\p{L}\p{N}_, ]+\)$/u
const SHELL_NAME = /^[A-Z_][A-Z0-9_]+(?:[^\p{L}\p{N}_]*$|[/:].*$)/u
const WORD_END = /^(?:th|st|nd|rd|s|d)(?![\p{L}\p{N}_])/u

/** The same rules as in manuscript/reader.py. */
export function mathPlugin(md: Parser): void {
  md.inline.ruler.before("escape", "math", (state, silent) => {
    const { src, pos, posMax } = state
    let [open, start, end, close] = ["\\[", pos, -1, ""]
    const environment = environmentAt(src, pos)
    if (environment) {
      close = `\\end{${environment}}`
      end = src.indexOf(close, pos)
      if (end < 0 || end + close.length > posMax) return false
      end += close.length
      close = ""
    } else {
      open = Object.keys(FENCES).find((fence) => src.startsWith(fence, pos)) ?? ""
      if (!open) return false
      close = FENCES[open]!
      start = pos + open.length
      end = closing(src, close, start)
      if (end < 0 || end + close.length > posMax) return false
      const content = src.slice(start, end)
      if (!LIKE_FORMULA.test(content.trim()) || content.includes("`")) return false
      if (open === "$" && !betweenDollars(content, src.slice(end + 1, posMax))) return false
    }
    if (!silent) {
      const token = state.push("math_inline", "math", 0)
      token.content = src.slice(start, end).trim()
      token.markup = open
    }
    state.pos = end + close.length
    return true
  })

  md.block.ruler.before(
    "fence",
    "math_block",
    (state, startLine, endLine, silent) => {
      const lineAt = (line: number) => state.src.slice((state.bMarks[line] ?? 0) + (state.tShift[line] ?? 0), state.eMarks[line]).trimEnd()
      const first = lineAt(startLine)
      const environment = environmentAt(first, 0)
      const open = first.startsWith("$$") ? "$$" : first.startsWith("\\[") ? "\\[" : ""
      if ((!open && !environment) || (state.sCount[startLine] ?? 0) - state.blkIndent >= 4) return false
      const close = environment ? `\\end{${environment}}` : FENCES[open]!
      const lines: string[] = []
      let line = startLine
      let text = first.slice(open.length)
      let at = text.indexOf(close)
      while (at < 0) {
        lines.push(text)
        line += 1
        if (line >= endLine || state.isEmpty(line)) {
          // more may follow: its source is shown until the end has come
          if (line < endLine || !(state.env as { growing?: boolean }).growing || silent) return false
          const token = state.push("math_block", "math", 0)
          Object.assign(token, { block: true, content: lines.join("\n"), info: "open", markup: open || "\\[", map: [startLine, line] })
          state.line = line
          return true
        }
        text = lineAt(line)
        at = text.indexOf(close)
      }
      const rest = text.slice(at + close.length)
      if (rest.trim() && (line === startLine || rest.includes(close))) return false // one of several things in a line
      if (silent) return true
      const token = state.push("math_block", "math", 0)
      const content = [...lines, text.slice(0, at) + (environment ? close : "")].join("\n").trim()
      Object.assign(token, { block: true, content, info: "", markup: open || "\\[", map: [startLine, line + 1] })
      state.line = line + 1
      if (rest.trim()) {
        // what stands behind the end begins a block of its own, in the same line
        const lineEnd = (state.bMarks[line] ?? 0) + state.src.slice(state.bMarks[line], state.eMarks[line]).trimEnd().length
        state.bMarks[line] = lineEnd - rest.trimStart().length
        state.tShift[line] = 0
        state.sCount[line] = state.blkIndent
        state.line = line
      }
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

function environmentAt(source: string, position: number): string | undefined {
  ENVIRONMENT.lastIndex = position
  return ENVIRONMENT.exec(source)?.[1]
}

/** Whether what stands between two dollars is a formula: no price, and no variable of a shell. */
function betweenDollars(content: string, after: string): boolean {
  if (content !== content.trim() || /^\d/.test(after) || SHELL_NAME.test(content)) return false
  return !/^[A-Za-z_{]/.test(after) || WORD_END.test(after)
}
