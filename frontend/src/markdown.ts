// Markdown to safe HTML: no raw HTML, no pictures fetched, links only to the web and to mail.
import MarkdownIt from "markdown-it"
import { highlight } from "./highlight"
import { mathPlugin } from "./math"
import { readingPlugin } from "./reading"

export type Parser = InstanceType<typeof MarkdownIt>

export const labels = { copy: "Copy", wrap: "Wrap", save: "Download", plain: "text", image: "Image: {alt}" }

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

rules.fence = (tokens, index) => {
  const token = tokens[index]!
  return codeBlock(token.content, (token.info.trim().split(/\s+/)[0] ?? "").toLowerCase())
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

export function codeBlock(code: string, language: string): string {
  const name = /^[\w+#.-]{1,20}$/.test(language) ? language : ""
  const body = highlight(code, name) ?? escapeHtml(code)
  return (
    `<div class="tk-code"><div class="tk-code-head"><span>${escapeHtml(name || labels.plain)}</span>` +
    `<span class="tk-code-tools">${codeButton("wrap-code", labels.wrap)}${codeButton("save-code", labels.save)}` +
    `${codeButton("copy-code", labels.copy)}</span></div>` +
    `<pre tabindex="0"><code>${body}</code></pre></div>`
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
