// A growing Markdown text in one element. Finished blocks are parsed and drawn once; each call
// parses only the text since the last finished block and touches only the nodes that differ.
import { morphChildren } from "./dom"
import { md } from "./markdown"

/** A last line that is only the beginning of a fence, a formula or an item: drawn once it is known what it is. */
const UNDECIDED = /(^|\n)[ \t]*(?:\$\$?|`{1,2}|\\[([]?|\*{1,2}|[-+]|\d{1,9}[.)]|\|)[ \t]*$/

type Token = ReturnType<typeof md.parse>[number]

export class MarkdownBody {
  private drawn = ""
  private finished = 0 // UTF-16 offset up to which blocks are final
  private blocks = 0 // how many element children those are
  private env: Record<string, unknown> = {}
  private whole = true

  constructor(readonly host: HTMLElement) {}

  /** Draw `text`; `growing` when more will follow. Cheap when nothing changed. */
  render(text: string, growing: boolean): void {
    if (text === this.drawn && this.whole === !growing) return
    if (!growing) {
      this.renderWhole(text)
      return
    }
    if (!text.startsWith(this.drawn.slice(0, this.finished))) this.reset()
    this.whole = false
    this.env.growing = true // a formula without an end is one that has not ended yet
    this.drawn = text
    const tail = text.slice(this.finished).replace(UNDECIDED, "$1")
    let tokens = md.parse(tail, this.env)
    const starts = topLevel(tokens)
    const suffix = closer(tokens)
    if (suffix) tokens = md.parse(tail.trimEnd() + suffix, this.env)
    morphChildren(this.host, fragment(tokens, this.env), this.blocks)
    // what stands behind a formula's end begins in the formula's last line: both are read together
    let done = starts.length - 1
    while (done > 0 && !(starts[done]!.map && starts[done]!.map![0] >= (starts[done - 1]!.map?.[1] ?? 0))) done -= 1
    const next = starts[done]
    if (done > 0 && next?.map) {
      this.finished += lineOffset(tail, next.map[0])
      this.blocks += done
    }
  }

  /** Draw everything again at the next call, for texts or formulas that came later. */
  invalidate(): void {
    this.reset()
    this.drawn = "\0"
  }

  private renderWhole(text: string): void {
    this.env = {}
    morphChildren(this.host, fragment(md.parse(text, this.env), this.env))
    this.drawn = text
    this.whole = true
    this.finished = 0
    this.blocks = 0
  }

  private reset(): void {
    this.finished = 0
    this.blocks = 0
    this.env = {}
  }
}

function fragment(tokens: Token[], env: Record<string, unknown>): DocumentFragment {
  const template = document.createElement("template")
  template.innerHTML = md.renderer.render(tokens, md.options, env).replace(/>\n+(?=<\/?(?:p|h\d|ul|ol|li|div|blockquote|hr|table|thead|tbody|tr|th|td)\b)/g, ">")
  const { content } = template
  for (const node of [...content.childNodes]) if (node.nodeType === Node.TEXT_NODE) node.remove()
  return content
}

function topLevel(tokens: Token[]): Token[] {
  return tokens.filter((token) => token.level === 0 && token.nesting >= 0)
}

function lineOffset(text: string, line: number): number {
  let offset = 0
  for (let i = 0; i < line; i += 1) {
    const next = text.indexOf("\n", offset)
    if (next < 0) return text.length
    offset = next + 1
  }
  return offset
}

/** What would close the last open ** or ` of the text, so that it is drawn bold while it grows. */
export function closer(tokens: Token[]): string {
  const inline = tokens.findLast((token) => token.type === "inline")
  const last = tokens.at(-1)
  if (!inline || last?.type === "fence" || last?.type === "table_close" || last?.type === "math_block") return ""
  const bare = inline.content.replace(/`[^`\n]*`/g, "")
  if ((bare.match(/`/g) ?? []).length % 2) return /`$/.test(bare) ? "" : "`"
  const stars = bare.match(/\*\*/g) ?? []
  return stars.length % 2 && !/\*\*\s*$/.test(bare) && !/\*$/.test(bare) ? "**" : ""
}
