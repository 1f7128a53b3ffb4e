// The menu over the message box: prompts, and the forms that an answer can have (/table, /json). Opened by "/" at
// the beginning of an empty box, narrowed by what is typed after it. The cursor stays in the box; a person who
// means a slash writes on and the menu goes.
import { h } from "./dom"
import { ranked, type Found, type Item } from "./palette_match"

export const BOX = '[data-testid="stChatInput"]'
const MOST = 6 // all are in sight; what is typed narrows them
const LONGEST = 40
const WITH_FORM = /^\/(table|json)\s/i // what a form is made of is being written: Enter sends

export interface SlashAround {
  items(): Item[]
  /** Ask for the prompts anew; `drawn` is called when they have come. */
  refresh(drawn: () => void): void
  choose(item: Item): void
  say(text: string): void
}

export class SlashMenu {
  readonly element = h("ul", { class: "tk-palette tk-slash", role: "listbox", popover: "manual" })
  private shown: Found[] = []
  private at = 0
  private box: HTMLTextAreaElement | null = null
  private dismissed = false // until the box is empty again

  constructor(private readonly around: SlashAround) {
    document.addEventListener("input", this.typed, true)
    document.addEventListener("keydown", this.pressed, true)
    document.addEventListener("pointerdown", this.elsewhere, true)
    this.element.addEventListener("pointerdown", (event) => {
      event.preventDefault() // the cursor stays in the box
      const row = (event.target as Element).closest("[data-at]")
      if (row instanceof HTMLElement) this.choose(Number(row.dataset.at))
    })
  }

  close(): void {
    this.hide()
    document.removeEventListener("input", this.typed, true)
    document.removeEventListener("keydown", this.pressed, true)
    document.removeEventListener("pointerdown", this.elsewhere, true)
  }

  private get open(): boolean {
    return this.box !== null
  }

  private readonly typed = (event: Event): void => {
    const box = event.target
    if (!(box instanceof HTMLTextAreaElement) || !box.closest(BOX)) return
    const wanted = /^\/[^/\n]*$/.test(box.value) && box.value.length <= LONGEST && !WITH_FORM.test(box.value)
    if (!box.value) this.dismissed = false
    if (!wanted || this.dismissed) return this.hide()
    if (!this.open) this.around.refresh(() => this.open && this.draw())
    this.box = box
    this.at = 0
    this.draw()
  }

  private draw(): void {
    const box = this.box
    if (!box) return
    const found = ranked(this.around.items(), box.value.slice(1).trim(), ["prompt", "form"])
    const forms = found.filter(({ item }) => item.kind === "form").length // never pushed out by prompts
    const prompts = found.filter(({ item }) => item.kind === "prompt").slice(0, MOST - forms)
    this.shown = found.filter((entry) => entry.item.kind === "form" || prompts.includes(entry))
    if (!this.shown.length) {
      this.element.hidden = true
      return
    }
    this.element.hidden = false
    this.element.replaceChildren(
      ...this.shown.map(({ item }, at) =>
        h(
          "li",
          { class: "tk-palette-row", role: "option", "data-at": at },
          h("span", { class: "tk-palette-words" }, h("span", { class: "tk-palette-title" }, item.title), h("span", { class: "tk-palette-note" }, item.note ?? "")),
        ),
      ),
    )
    this.mark()
    if (!this.element.matches(":popover-open")) this.element.showPopover()
    const place = box.closest(BOX)!.getBoundingClientRect()
    const width = Math.min(place.width, 608)
    Object.assign(this.element.style, { left: `${place.left}px`, width: `${width}px`, bottom: `${window.innerHeight - place.top + 6}px` })
  }

  private mark(): void {
    for (const row of this.element.querySelectorAll<HTMLElement>("[data-at]")) {
      const chosen = Number(row.dataset.at) === this.at
      row.setAttribute("aria-selected", String(chosen))
      if (chosen) row.scrollIntoView({ block: "nearest" })
    }
    this.around.say(this.shown[this.at]?.item.title ?? "")
  }

  private readonly pressed = (event: KeyboardEvent): void => {
    if (!this.open || event.target !== this.box || event.isComposing || event.keyCode === 229 || this.element.hidden) return
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return
    const count = this.shown.length
    if (event.key === "ArrowDown") this.at = (this.at + 1) % count
    else if (event.key === "ArrowUp") this.at = (this.at + count - 1) % count
    else if (event.key === "Enter" || event.key === "Tab") this.choose(this.at)
    else if (event.key === "Escape") {
      this.dismissed = true
      this.hide()
    } else return
    event.preventDefault()
    event.stopImmediatePropagation() // neither sends the message nor stops an answer
    if (this.open) this.mark()
  }

  private readonly elsewhere = (event: Event): void => {
    if (this.open && !event.composedPath().includes(this.element)) this.hide()
  }

  private choose(at: number): void {
    const item = this.shown[at]?.item
    this.hide()
    if (item) this.around.choose(item)
  }

  private hide(): void {
    this.box = null
    if (this.element.matches(":popover-open")) this.element.hidePopover()
  }
}
