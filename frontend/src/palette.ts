// The palette: one field over conversations, commands, pages, presets, models and prompts, for the keyboard;
// and the sheet of shortcuts. Hears the shortcuts of the whole page. What is chosen goes to Python.
import { COMMAND, fill, h } from "./dom"
import { icon } from "./icons"
import { ranked, type Found, type Item } from "./palette_match"
import { followTheme } from "./page"
import { BOX, SlashMenu } from "./slash"
import type { Action } from "./types"

export interface Shortcut {
  keys: string // "Mod+K"; "Mod" is ⌘ on a Mac, else Ctrl
  text: string
}

export interface PaletteData {
  items: Item[]
  shortcuts: Shortcut[]
  texts: Record<string, string>
  lang: string
}

interface Answer {
  items: Item[]
}

const ASK_AFTER_MS = 120
const MOST = 60
const IN_THE_PAGE = new Set(["edit", "stop"]) // done by the transcript, Python need not know
const mac = /mac|iphone|ipad/i.test(navigator.platform)

export class Palette {
  send: (action: Action) => void = () => undefined
  private data: PaletteData = { items: [], shortcuts: [], texts: {}, lang: "en" }
  private readonly root = h("div", { class: "tk-root tk-palette-root" })
  private readonly field = h("input", {
    class: "tk-palette-field", type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "tk-palette-list",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
  }) as HTMLInputElement
  private readonly list = h("ul", { class: "tk-palette-list", id: "tk-palette-list", role: "listbox" })
  private readonly count = h("div", { class: "tk-spoken", role: "status", "aria-live": "polite" })
  private readonly dialog = h("dialog", { class: "tk-palette" }, this.field, this.list, this.count) as HTMLDialogElement
  private readonly sheet = h("dialog", { class: "tk-palette tk-sheet" }) as HTMLDialogElement
  private readonly spoken = h("div", { class: "tk-spoken", role: "status", "aria-live": "polite" })
  private readonly slash = new SlashMenu({
    items: () => [...this.stored.filter((item) => item.kind === "prompt"), ...this.data.items.filter((item) => item.kind === "form")],
    refresh: (drawn) => void this.fetch("").then(drawn),
    choose: (item) => this.act(item),
    say: (text) => (this.spoken.textContent = text),
  })
  private stored: Item[] = [] // conversations, models, own presets and prompts: what the server answered last
  private shown: Found[] = []
  private at = 0
  private chosen = "" // what a person moved to: it stays chosen when more is found
  private asked = 0
  private before: Element | null = null // where the cursor was
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(parent: ShadowRoot | HTMLElement) {
    this.root.append(this.dialog, this.sheet, this.slash.element, this.spoken)
    parent.append(this.root)
    for (const dialog of [this.dialog, this.sheet]) {
      // a press on the page behind closes; keys stay here, the framework has single letters for its own
      dialog.addEventListener("pointerdown", (event) => event.target === dialog && outside(dialog, event) && dialog.close())
      dialog.addEventListener("keydown", (event) => this.within(event))
    }
    this.dialog.addEventListener("close", this.giveBack)
    this.field.addEventListener("input", () => {
      this.chosen = ""
      this.draw()
      this.ask()
    })
    this.list.addEventListener("click", (event) => {
      const row = (event.target as Element).closest("[data-at]")
      if (row instanceof HTMLElement) this.choose(Number(row.dataset.at))
    })
    document.addEventListener("keydown", this.pressed)
    document.addEventListener("click", this.clicked)
    document.addEventListener(COMMAND, this.commanded)
  }

  update(data: PaletteData): void {
    this.data = data
    followTheme(this.root)
    this.root.lang = data.lang === "zh" ? "zh-CN" : data.lang
    this.field.placeholder = this.text("placeholder")
    this.field.setAttribute("aria-label", this.text("title"))
    this.dialog.setAttribute("aria-label", this.text("title"))
    this.list.setAttribute("aria-label", this.text("title"))
    if (this.dialog.open) this.draw()
    this.keepOpen()
  }

  close(): void {
    clearTimeout(this.timer)
    this.slash.close()
    document.removeEventListener("keydown", this.pressed)
    document.removeEventListener("click", this.clicked)
    document.removeEventListener(COMMAND, this.commanded)
    this.root.remove()
  }

  // ---- keys of the page ---------------------------------------------------------------------

  private readonly pressed = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing || event.repeat) return
    const mod = mac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey
    const key = event.key.toLowerCase()
    if (mod && !event.altKey && !event.shiftKey && key === "k") this.open()
    else if (mod && !event.altKey && event.shiftKey && key === "o") this.command("new")
    else if (mod && !event.altKey && key === "/") this.showSheet()
    else if (mod && event.altKey && !event.shiftKey && (mac ? event.code === "KeyX" : key === "x")) this.command("release")
    else if (key === "?" && !mod && !event.altKey && !writing(event)) this.showSheet()
    else return
    event.preventDefault()
  }

  private readonly clicked = (event: MouseEvent): void => {
    if (!(event.target instanceof Element)) return
    if (event.target.closest(".st-key-palette_open")) this.open()
    else if (event.target.closest(".st-key-menu_shortcuts")) this.showSheet()
  }

  private readonly commanded = (event: Event): void => {
    if ((event as CustomEvent).detail === "palette") this.open()
  }

  // ---- the palette --------------------------------------------------------------------------

  private open(): void {
    if (this.dialog.open) return this.dialog.close()
    if (document.querySelector('[data-testid="stDialog"]')) return // a question of the page comes first
    this.sheet.close()
    this.field.value = ""
    this.chosen = ""
    this.draw()
    this.before = document.activeElement
    this.dialog.showModal()
    this.field.focus()
    void this.fetch()
  }

  /** A page that is drawn anew moves this component: its dialog is no longer on top then, and has lost the cursor. */
  private keepOpen(): void {
    if (!this.dialog.open) return
    if (!this.dialog.matches(":modal")) {
      this.dialog.close()
      this.dialog.showModal()
    }
    const root = this.root.getRootNode() as Document | ShadowRoot
    if (!this.dialog.contains(root.activeElement)) this.field.focus()
  }

  /** The browser gives the cursor back to where it was, unless the page was drawn anew meanwhile. */
  private readonly giveBack = (): void => {
    if (this.dialog.open) return
    const { activeElement } = document
    const root = this.root.getRootNode()
    const within = root instanceof ShadowRoot && activeElement === root.host // its field, which is no longer seen
    if (activeElement && activeElement !== document.body && !within && !this.dialog.contains(activeElement)) return
    const back = this.before?.isConnected ? this.before : document.querySelector(`${BOX} textarea`)
    if (back instanceof HTMLElement) back.focus({ preventScroll: true })
  }

  private ask(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.fetch(), ASK_AFTER_MS)
  }

  private async fetch(query = this.field.value.trim()): Promise<void> {
    const number = (this.asked += 1)
    const address = new URL("./twokeys/palette", location.href)
    address.searchParams.set("q", query)
    address.searchParams.set("lang", this.data.lang)
    try {
      const answer = await fetch(address)
      if (!answer.ok || number !== this.asked) return
      this.stored = ((await answer.json()) as Answer).items
      this.draw()
    } catch {
      return // the server is away: commands and pages are still there
    }
  }

  private draw(): void {
    const { lang } = this.data
    const query = this.field.value.trim()
    const kinds = ["conversation", "command", "prompt", "page", "preset", "model"]
    this.shown = ranked(unique([...this.stored, ...this.data.items]), query, kinds).slice(0, MOST)
    this.at = Math.max(0, this.shown.findIndex(({ item }) => this.chosen !== "" && name(item) === this.chosen))
    let kind = ""
    const rows: Node[] = []
    this.shown.forEach((found, at) => {
      if (found.item.kind !== kind) {
        kind = found.item.kind
        rows.push(h("li", { class: "tk-palette-kind", role: "presentation" }, this.text(`kind.${kind}`)))
      }
      rows.push(this.row(found, at))
    })
    if (!rows.length) rows.push(h("li", { class: "tk-palette-kind", role: "presentation" }, this.text("nothing")))
    this.list.replaceChildren(...rows)
    this.list.lang = lang
    this.count.textContent = fill(this.text("count"), { count: this.shown.length })
    this.mark()
  }

  private row({ item }: Found, at: number): HTMLElement {
    const row = h("li", { class: "tk-palette-row", role: "option", id: `tk-palette-${at}`, "data-at": at })
    row.innerHTML = icon(ICONS[item.kind] ?? "details")
    const words = h("span", { class: "tk-palette-words" }, h("span", { class: "tk-palette-title" }, item.title || this.text("untitled")))
    if (item.note && item.note !== item.title) words.append(h("span", { class: "tk-palette-note" }, item.note))
    row.append(words)
    if (item.at) row.append(h("span", { class: "tk-palette-at" }, day(item.at, this.data.lang)))
    if (item.keys) row.append(keys(item.keys))
    return row
  }

  private mark(): void {
    for (const row of this.list.querySelectorAll("[data-at]")) {
      const chosen = row.id === `tk-palette-${this.at}`
      row.setAttribute("aria-selected", String(chosen))
      if (chosen) row.scrollIntoView({ block: "nearest" })
    }
    if (this.shown.length) this.field.setAttribute("aria-activedescendant", `tk-palette-${this.at}`)
    else this.field.removeAttribute("aria-activedescendant")
  }

  private within(event: KeyboardEvent): void {
    event.stopPropagation()
    if (event.isComposing || event.keyCode === 229) return
    const mod = mac ? event.metaKey : event.ctrlKey
    if (mod && event.key.toLowerCase() === "k") {
      event.preventDefault()
      this.dialog.close()
    }
    if (!this.dialog.open) return
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }
    const step = moves[event.key]
    if (step !== undefined && this.shown.length) {
      event.preventDefault()
      const wanted = this.at + step
      if (Math.abs(step) === 1) this.at = (wanted + this.shown.length) % this.shown.length
      else this.at = Math.max(0, Math.min(wanted, this.shown.length - 1))
      this.chosen = name(this.shown[this.at]!.item)
      this.mark()
    } else if (event.key === "Enter") {
      event.preventDefault()
      this.choose(this.at)
    }
  }

  private choose(at: number): void {
    const item = this.shown[at]?.item
    if (!item) return
    this.dialog.close()
    this.act(item)
  }

  private act(item: Item): void {
    if (item.kind === "command") this.command(item.id)
    else this.send({ type: item.kind, text: item.id, message: item.message, words: item.marked } as Action)
  }

  private command(name: string): void {
    if (name === "shortcuts") this.showSheet()
    else if (IN_THE_PAGE.has(name)) document.dispatchEvent(new CustomEvent(COMMAND, { detail: name }))
    else this.send({ type: "command", text: name } as Action)
  }

  // ---- the sheet ----------------------------------------------------------------------------

  private showSheet(): void {
    if (this.sheet.open) return this.sheet.close()
    this.dialog.close()
    const rows = this.data.shortcuts.map((shortcut) => h("div", { class: "tk-sheet-row" }, h("dt", {}, keys(shortcut.keys)), h("dd", {}, shortcut.text)))
    const close = h("button", { type: "button", class: "tk-icon-button", title: this.text("close"), "aria-label": this.text("close") })
    close.innerHTML = icon("cancel")
    close.addEventListener("click", () => this.sheet.close())
    this.sheet.setAttribute("aria-labelledby", "tk-sheet-title")
    this.sheet.replaceChildren(
      h("div", { class: "tk-sheet-head" }, h("h2", { id: "tk-sheet-title" }, this.text("sheet")), close),
      h("dl", { tabindex: "0" }, ...rows),
    )
    this.sheet.showModal()
  }

  private text(key: string): string {
    return this.data.texts[key] ?? key
  }
}

const ICONS: Record<string, string> = {
  conversation: "chat", command: "next", prompt: "file", page: "compare", preset: "keep", model: "heat",
}

/** Each conversation once: where its words were found, else by its title. */
function unique(items: Item[]): Item[] {
  const seen = new Set<string>()
  return items.filter(({ kind, id }) => {
    if (seen.has(`${kind} ${id}`)) return false
    seen.add(`${kind} ${id}`)
    return true
  })
}

function name(item: Item): string {
  return `${item.kind} ${item.id} ${item.message ?? ""}`
}

function keys(text: string): HTMLElement {
  const names: Record<string, string> = mac ? { Mod: "⌘", Shift: "⇧", Alt: "⌥" } : { Mod: "Ctrl" }
  const caps = text.split("+").map((key) => h("kbd", {}, names[key] ?? key))
  return h("span", { class: "tk-palette-keys" }, ...caps)
}

function day(seconds: number, lang: string): string {
  const at = new Date(seconds * 1000)
  const year = at.getFullYear() === new Date().getFullYear() ? undefined : "numeric"
  return at.toLocaleDateString(lang === "zh" ? "zh-CN" : "en", { month: "short", day: "numeric", year })
}

function writing(event: Event): boolean {
  const target = event.composedPath()[0]
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input:not([type=radio],[type=checkbox],[type=range]),textarea,select"))
}

function outside(dialog: HTMLDialogElement, event: PointerEvent): boolean {
  const { left, right, top, bottom } = dialog.getBoundingClientRect()
  return event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom
}
