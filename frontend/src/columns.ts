// Answers side by side: one column each, all of one live topic, in one component.
import { LiveDisplay } from "./display"
import { h } from "./dom"
import { icon } from "./icons"
import { MessageView, type Surroundings } from "./message"
import type { Message, Options } from "./types"

const NEAR_PX = 48

export interface ColumnData {
  name: string
  /** What tells this column apart; empty while the parameters are hidden. */
  facts: string[]
  /** Set when the answer became one of a conversation. */
  kept?: boolean
  message: Message
}

export interface ColumnsData {
  columns: ColumnData[]
  topic: string
  texts: Record<string, string>
  options: Options
}

class Column {
  readonly element: HTMLElement
  private readonly head = h("header", { class: "tk-column-head" })
  readonly view: MessageView
  private signature = ""

  constructor(message: Message, around: Surroundings) {
    this.view = new MessageView(message, around)
    this.element = h("section", { class: "tk-column" }, this.head, this.view.element)
    this.text.tabIndex = 0
  }

  /** The scrolling part. */
  get text(): HTMLElement {
    return this.view.element.firstElementChild as HTMLElement
  }

  describe(data: ColumnData, keptText: string): void {
    const signature = JSON.stringify([data.name, data.facts, data.kept, keptText])
    if (signature === this.signature) return
    this.signature = signature
    this.element.setAttribute("aria-label", data.name)
    const facts = h("span", { class: "tk-column-facts" })
    for (const fact of data.facts) facts.append(h("span", { class: "tk-chip" }, fact))
    this.head.replaceChildren(h("h3", {}, data.name))
    if (data.kept) {
      const chip = h("span", { class: "tk-chip tk-kept" })
      chip.innerHTML = icon("check")
      chip.append(keptText)
      facts.prepend(chip)
    }
    this.head.append(facts)
  }

  /** Draw, and stay at the end of the growing text when the person is there. */
  follow(draw: () => void): void {
    const { text } = this
    const near = text.scrollHeight - text.scrollTop - text.clientHeight < NEAR_PX
    draw()
    if (near && this.view.element.classList.contains("tk-growing")) text.scrollTop = text.scrollHeight
  }
}

export class Columns extends LiveDisplay {
  private readonly tabs = h("div", { class: "tk-column-tabs", role: "group" })
  private readonly row = h("div", { class: "tk-columns" })
  private readonly columns = new Map<string, Column>() // by message id

  constructor(parent: ShadowRoot | HTMLElement) {
    super()
    this.root.classList.add("tk-side")
    this.root.append(this.tabs, this.row, this.offline, this.spoken)
    parent.append(this.root)
    this.row.addEventListener("scroll", () => this.markTab(), { passive: true })
  }

  update(data: ColumnsData): void {
    this.dress(data.texts, data.options)
    this.row.style.setProperty("--count", String(data.columns.length))
    if (this.topic.listen(data.topic)) {
      this.columns.clear()
      this.row.replaceChildren()
    }
    this.messages = data.columns.map((column) => column.message)
    this.topic.stored(this.messages)
    const shown = data.columns.map((column) => this.draw(column))
    for (const [id] of this.columns) if (!this.messages.some((message) => message.id === id)) this.columns.delete(id)
    shown.forEach((element, index) => {
      if (this.row.children[index] !== element) this.row.insertBefore(element, this.row.children[index] ?? null)
    })
    while (this.row.children.length > shown.length) this.row.lastElementChild?.remove()
    this.drawTabs(data.columns)
    this.tick()
  }

  redraw(id: string): void {
    const message = this.messages.find((message) => message.id === id)
    const column = this.columns.get(id)
    if (message && column) column.follow(() => column.view.update(message, this.topic.get(id), true))
    this.tick()
  }

  protected view(id: string): MessageView | undefined {
    return this.columns.get(id)?.view
  }

  protected drawGrown(ids: Iterable<string>, now: number): void {
    for (const id of ids) {
      const column = this.columns.get(id)
      column?.follow(() => column.view.drawText())
      column?.view.drawStatus(now)
    }
  }

  private draw(data: ColumnData): HTMLElement {
    const { id } = data.message
    let column = this.columns.get(id)
    if (!column) {
      column = new Column(data.message, this)
      this.columns.set(id, column)
    }
    const { view } = column
    column.describe(data, this.words("columns.kept"))
    column.follow(() => view.update(data.message, this.topic.get(id), true))
    return column.element
  }

  /** On a narrow page one column is seen at a time: their names lead to them. */
  private drawTabs(columns: ColumnData[]): void {
    this.tabs.setAttribute("aria-label", this.words("columns.tabs"))
    this.tabs.replaceChildren(
      ...columns.map((column, index) => {
        const button = h("button", { type: "button", class: "tk-button tk-quiet" }, column.name)
        button.addEventListener("click", () => {
          const target = this.row.children[index] as HTMLElement
          this.row.scrollTo({ left: target.offsetLeft - this.row.offsetLeft, behavior: "smooth" })
        })
        return button
      }),
    )
    this.markTab()
  }

  private markTab(): void {
    const middle = this.row.scrollLeft + this.row.clientWidth / 2
    const at = [...this.row.children].findIndex((child) => {
      const left = (child as HTMLElement).offsetLeft - this.row.offsetLeft
      return left <= middle && middle < left + (child as HTMLElement).offsetWidth + 16
    })
    ;[...this.tabs.children].forEach((tab, index) => {
      if (index === at) tab.setAttribute("aria-current", "true")
      else tab.removeAttribute("aria-current")
    })
  }

  protected keyed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return
    if (document.querySelector('[role="dialog"], [data-baseweb="popover"]')) return
    const ids = [...this.topic.live()].map(([id]) => id)
    if (!ids.length) return
    event.preventDefault()
    for (const id of ids) this.stop(id)
  }
}
