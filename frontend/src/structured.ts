// An answer in JSON as a table or a tree, while it grows and when it is finished, with the raw text a click away.
import { fill, h, morphChildren } from "./dom"
import { icon } from "./icons"
import { readJson, type JsonNode } from "./json"
import { home } from "./live"
import { codeBlock } from "./markdown"
import type { Structured } from "./types"

type Words = (key: string) => string
type ObjectNode = Extract<JsonNode, { kind: "object" }>

interface Table {
  columns: string[]
  rows: ObjectNode[]
}

export class StructuredBody {
  private raw = false
  private drawn = ""
  private whole = 0 // rows of the table that need not be drawn again
  private columns = ""
  private readonly count = h("span", { class: "tk-form-count" })
  private readonly toggle = h("button", { type: "button", class: "tk-button tk-quiet", "data-do": "raw" })
  private readonly body = h("div", { class: "tk-form-body" })
  private readonly files = h("div", { class: "tk-form-files" })

  constructor(
    host: HTMLElement,
    private readonly id: string,
    private readonly words: Words,
  ) {
    host.classList.add("tk-form")
    host.replaceChildren(h("div", { class: "tk-form-head" }, this.count, this.toggle), this.body, this.files)
  }

  turn(): void {
    this.raw = !this.raw
    this.drawn = ""
  }

  render(text: string, growing: boolean, form: Structured): void {
    const signature = `${growing}|${JSON.stringify(form)}|${text.length}|${text}`
    if (signature === this.drawn) return
    this.drawn = signature
    const { node, broken } = readJson(text)
    const table = node || !broken ? tableOf(node, form.columns ?? null) : null
    const readable = table !== null || node !== null
    const raw = this.raw || (!readable && !growing)
    this.toggle.textContent = this.words(this.raw ? (table ? "structured.table" : "structured.tree") : "structured.raw")
    this.toggle.setAttribute("aria-pressed", String(this.raw))
    this.toggle.hidden = !readable
    this.count.textContent = table ? fill(this.words("structured.rows"), { n: closed(table).length }) : ""
    if (raw) this.drawRaw(text)
    else if (table) this.drawTable(table)
    else this.drawOther(node)
    this.drawFiles(growing, form, table)
  }

  private drawRaw(text: string): void {
    this.forget()
    const template = document.createElement("template")
    template.innerHTML = codeBlock(text, "json")
    morphChildren(this.body, template.content)
  }

  private drawOther(node: JsonNode | null): void {
    this.forget()
    morphChildren(this.body, node ? fragmentOf(tree(node, this.words)) : fragmentOf())
  }

  private drawTable(table: Table): void {
    const columns = JSON.stringify(table.columns)
    let rows = this.body.querySelector<HTMLElement>(":scope > .tk-table > table > tbody")
    if (!rows || columns !== this.columns) {
      this.forget()
      this.columns = columns
      rows = h("tbody")
      const sheet = h("table", {}, h("thead"), rows)
      this.body.replaceChildren(h("div", { class: "tk-table tk-form-table", tabindex: "0", role: "region", "aria-label": this.words("structured.table") }, sheet))
    }
    morphChildren(rows.previousElementSibling!, fragmentOf(headings(table)))
    const fresh = table.rows.slice(this.whole).map((row) => tableRow(row, table.columns, this.words))
    morphChildren(rows, fragmentOf(...fresh), this.whole)
    this.whole = Math.min(closed(table).length, table.rows.length)
  }

  /** The next table is drawn from its first row. */
  private forget(): void {
    this.whole = 0
    this.columns = ""
  }

  private drawFiles(growing: boolean, form: Structured, table: Table | null): void {
    const kinds = growing ? [] : (form.files ?? [])
    const links = kinds.map((kind) => {
      const link = h("a", {
        class: "tk-button tk-quiet",
        href: new URL(`answers/${encodeURIComponent(this.id)}.${kind}`, home()).href,
        download: "",
        "aria-label": fill(this.words("structured.download"), { kind: kind.toUpperCase() }),
        title: fill(this.words("structured.download"), { kind: kind.toUpperCase() }),
      })
      link.innerHTML = icon("download")
      link.append(kind.toUpperCase())
      return link
    })
    const shown: Node[] = [...(form.verdict && !growing ? [verdict(form.verdict)] : []), ...links]
    if (!growing && table && form.gather) {
      shown.push(h("button", { type: "button", class: "tk-button tk-quiet", "data-do": "gather" }, this.words("structured.gather")))
    }
    morphChildren(this.files, fragmentOf(...shown))
    this.files.hidden = !this.files.childElementCount
  }
}

/** Whether an answer keeps to its form: a chip where it does, else why it does not. */
function verdict(shown: NonNullable<Structured["verdict"]>): HTMLElement {
  const valid = shown.state === "valid"
  const chip = h("span", { class: `tk-chip tk-verdict${valid ? "" : " tk-guard-warn"}`, role: "status" })
  chip.innerHTML = icon(valid ? "check" : "warn")
  chip.append(shown.text)
  return chip
}

/** The table in a value: a list of objects, or an object whose only member is one. */
function tableOf(node: JsonNode | null, asked: string[] | null): Table | null {
  const list = node?.kind === "object" && node.members.length === 1 ? node.members[0]![1] : node
  const items = list?.kind === "array" ? list.items : []
  const rows = items.filter((item) => item.kind === "object")
  const begun = list?.kind === "array" && rows.length > 0
  if (rows.length < items.length || (!begun && !(asked && notYet(node, list)))) return null
  const columns = new Set(asked ?? [])
  for (const row of rows) for (const [name] of row.members) columns.add(name)
  return { columns: [...columns], rows }
}

/** Nothing yet stands where the rows are to come. */
function notYet(node: JsonNode | null, list: JsonNode | null): boolean {
  return list === null || list.kind === "array" || (node?.kind === "object" && node.members.length === 0)
}

function closed(table: Table): ObjectNode[] {
  return table.rows.filter((row) => row.closed)
}

/** The names of the columns; those of numbers stand above the last digit. */
function headings(table: Table): HTMLElement {
  const names = table.columns.map((name) => {
    const cells = table.rows.flatMap((row) => row.members.filter(([member, node]) => member === name && node.kind !== "null"))
    const numbers = cells.length > 0 && cells.every(([, node]) => node.kind === "number")
    return h("th", { scope: "col", class: numbers ? "tk-number" : null }, name)
  })
  return h("tr", {}, ...names)
}

function fragmentOf(...nodes: Node[]): DocumentFragment {
  const fragment = document.createDocumentFragment()
  fragment.append(...nodes)
  return fragment
}

function tableRow(row: ObjectNode, columns: string[], words: Words): HTMLElement {
  const members = new Map(row.members)
  const cells = columns.map((name) => {
    const node = members.get(name)
    return h("td", { class: node?.kind === "number" ? "tk-number" : null }, node ? cell(node, words) : "")
  })
  return h("tr", { class: row.closed ? null : "tk-half" }, ...cells)
}

function cell(node: JsonNode, words: Words): Node {
  if (node.kind === "array" && node.items.every(isPlain)) {
    return document.createTextNode(node.items.map((item) => plain(item, words)).join(words("structured.and")))
  }
  return isPlain(node) ? scalar(node, words) : tree(node, words)
}

function isPlain(node: JsonNode): node is Extract<JsonNode, { text: string }> {
  return node.kind !== "object" && node.kind !== "array"
}

function scalar(node: Extract<JsonNode, { text: string }>, words: Words): Node {
  if (node.kind === "null") return h("span", { class: "tk-none", title: words("structured.empty") }, "–")
  return document.createTextNode(plain(node, words))
}

function plain(node: JsonNode, words: Words): string {
  if (!isPlain(node)) return ""
  if (node.kind === "boolean") return words(node.text === "true" ? "structured.yes" : "structured.no")
  return node.kind === "null" ? "–" : node.text
}

function tree(node: JsonNode, words: Words): Node {
  if (isPlain(node)) return h("span", { class: "tk-leaf" }, scalar(node, words))
  if (node.kind === "array") {
    const rows = tableOf(node, null)
    if (rows) {
      const body = h("tbody", {}, ...rows.rows.map((row) => tableRow(row, rows.columns, words)))
      return h("div", { class: "tk-table", tabindex: "0" }, h("table", {}, h("thead", {}, headings(rows)), body))
    }
    return h("ul", { class: "tk-branch" }, ...node.items.map((item) => h("li", {}, tree(item, words))))
  }
  const list = h("dl", { class: "tk-branch" })
  for (const [name, inner] of node.members) list.append(h("dt", {}, name), h("dd", {}, tree(inner, words)))
  return list
}
