// Markdown to safe HTML: no raw HTML, no pictures fetched, links only to the web and to mail.
import MarkdownIt from "markdown-it"
import { drawing, showsSource, type Picture } from "./diagram"
import { highlight } from "./highlight"
import { mathPlugin } from "./math"
import { readingPlugin } from "./reading"

export type Parser = InstanceType<typeof MarkdownIt>

export const labels = {
  copy: "Copy",
  wrap: "Wrap",
  save: "Download",
  plain: "text",
  image: "Image: {alt}",
  source: "Source",
  drawing: "Diagram",
  drawn: "Diagram: {source}",
}

const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef]/u

export const md = new MarkdownIt({ html: false, linkify: true, breaks: true, typographer: false })
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false })
md.validateLink = (url) => /^(https?:|mailto:)/i.test(url.trim())
md.use(mathPlugin)
md.use(readingPlugin)
cjkEmphasis(md)

const { escapeHtml } = md.utils
const rules = md.renderer.rules

rules.link_open = (tokens, index, options, _env, self) => {
  const token = tokens[index]!
  token.attrSet("target", "_blank")
  token.attrSet("rel", "noopener noreferrer")
  return self.renderToken(tokens, index, options)
}

rules.image = (tokens, index) => {
  const token = tokens[index]!
  const source = String(token.attrGet("src") ?? "")
  const text = escapeHtml(labels.image.replace("{alt}", () => token.content || source))
  return `<a class="tk-image" href="${escapeHtml(source)}" target="_blank" rel="noopener noreferrer">${text}</a>`
}

rules.fence = (tokens, index, _options, env) => {
  const token = tokens[index]!
  const language = (token.info.trim().split(/\s+/)[0] ?? "").toLowerCase()
  const whole = !(env as { growing?: boolean }).growing || closed(token.content, token.map)
  return language === "mermaid" && whole ? diagramBlock(token.content) : codeBlock(token.content, language)
}
rules.code_block = (tokens, index) => codeBlock(tokens[index]!.content, "")
rules.table_open = () => '<div class="tk-table" tabindex="0"><table>'
rules.table_close = () => "</table></div>"

// Chinese slants badly: emphasis becomes dots under the characters there, and stays italic elsewhere.
rules.em_open = (tokens, index) => {
  let depth = 0
  for (const token of tokens.slice(index)) {
    if (token.type === "em_open") depth += 1
    if (token.type === "em_close" && --depth === 0) break
    if (CJK.test(token.content)) return '<em class="tk-cjk">'
  }
  return "<em>"
}

/** Whether the last of a fence's lines is the mark of its end: it is no part of the content. */
function closed(content: string, lines: [number, number] | null): boolean {
  const inner = content ? content.replace(/\n$/, "").split("\n").length : 0
  return lines !== null && lines[1] - lines[0] === inner + 2
}

/** A diagram with its source behind a button; the source alone where there is no drawing, or none yet. */
function diagramBlock(source: string): string {
  const picture = drawing(source)
  if (picture === "broken") return codeBlock(source, "mermaid")
  if (picture === "asked") return codeBlock(source, "mermaid").replace('"tk-code"', '"tk-code tk-diagram-wait"')
  const shown = showsSource(source)
  const turn = codeButton("turn-diagram", shown ? labels.drawing : labels.source)
  return (
    `<div class="tk-code tk-drawn">${codeHead("mermaid", turn)}` +
    `<div class="tk-diagram" tabindex="0"${shown ? " hidden" : ""}>${pictureHtml(picture, source)}</div>` +
    `<pre tabindex="0"${shown ? "" : " hidden"}><code>${escapeHtml(source)}</code></pre></div>`
  )
}

function pictureHtml(picture: Picture, source: string): string {
  const words = escapeHtml(labels.drawn.replace("{source}", () => source))
  return `<img src="${picture.address}" width="${picture.width}" height="${picture.height}" style="--width: ${picture.width}px" alt="${words}">`
}

export function codeBlock(code: string, language: string): string {
  const name = /^[\w+#.-]{1,20}$/.test(language) ? language : ""
  const body = highlight(code, name) ?? escapeHtml(code)
  return (
    `<div class="tk-code">${codeHead(name || labels.plain, codeButton("wrap-code", labels.wrap))}` +
    `<pre tabindex="0"><code>${body}</code></pre></div>`
  )
}

function codeHead(name: string, tools: string): string {
  return (
    `<div class="tk-code-head"><span>${escapeHtml(name)}</span><span class="tk-code-tools">${tools}` +
    `${codeButton("save-code", labels.save)}${codeButton("copy-code", labels.copy)}</span></div>`
  )
}

function codeButton(act: string, words: string): string {
  return `<button type="button" class="tk-code-copy" data-do="${act}">${escapeHtml(words)}</button>`
}

/**
 * CommonMark does not see **注意：**后面 as strong, because the closing stars stand between a
 * punctuation mark and a letter. Chinese has no blanks there, so a neighbour of its script counts
 * like one.
 */
function cjkEmphasis(parser: Parser): void {
  const state = parser.inline.State.prototype
  const original = state.scanDelims
  state.scanDelims = function (start: number, canSplitWord: boolean) {
    const scanned = original.call(this, start, canSplitWord)
    if (scanned.can_open && scanned.can_close) return scanned
    const before = [...this.src.slice(Math.max(0, start - 2), start)].at(-1) ?? " "
    const after = [...this.src.slice(start + scanned.length, start + scanned.length + 2)][0] ?? " "
    if (!CJK.test(before) && !CJK.test(after)) return scanned
    const open = !/\s/.test(after)
    const close = !/\s/.test(before)
    if (this.src.charCodeAt(start) === 95) return scanned
    return { can_open: open, can_close: close, length: scanned.length }
  }
}
