// Reads along in the message box of the page and tells Python when a person pauses. Draws nothing.
// The box belongs to Streamlit, which sends its text only when it is submitted. Files that are dropped on
// the page or pasted into the box are handed to Streamlit's file chooser beside it.
import type { Action } from "./types"

export interface FilesData {
  chooser: string // CSS selector of the file chooser's input
  max_bytes: number
  long_paste: number // characters from which a pasted text may become a file
}

export interface DraftData {
  box: string // CSS selector of the textarea
  pause_ms: number
  longest: number
  /** What the box is to show, once for each token: Streamlit does not empty a box it believes empty. */
  show: { text: string; token: string } | null
  files?: FilesData | null
  /** Enter begins a new line, and Ctrl or ⌘ with it sends. */
  ctrl_enter?: boolean
}

const SUBMIT = '[data-testid="stChatInputSubmitButton"]'
const TRY_MS = 50
const MOST_TRIES = 100
let shown = ""
let typing = false // since a person last did something elsewhere
let begun = false // the page's box was looked at

let readers = 0

/** Tell the page's script whether Enter is heard here (web/static/base.js). */
function hear(more: 1 | -1): void {
  readers += more
  document.documentElement.toggleAttribute("data-tk-draft", readers > 0)
}

export class Draft {
  send: (action: Action) => void = () => undefined
  private data: DraftData = { box: "", pause_ms: 600, longest: 4000, show: null }
  private last = ""
  private timer = 0
  private frame = 0
  private looked = false
  private waiting = false
  private text = "" // what the box held: while the page is drawn anew the box may be away
  private readonly typed = (event: Event): void => {
    if (!(event.target instanceof HTMLTextAreaElement && event.target.matches(this.data.box))) return
    typing = true
    this.text = event.target.value
    this.later()
  }
  private readonly elsewhere = (event: Event): void => {
    if (event.target !== this.box()) typing = false
  }
  private readonly pressed = (event: KeyboardEvent): void => {
    this.elsewhere(event)
    // Enter sends the message: what was read of it must not arrive afterwards
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      if (!(event.target instanceof HTMLTextAreaElement && event.target.matches(this.data.box))) return
      if (this.data.ctrl_enter) {
        event.stopPropagation() // Streamlit sends on Enter; the browser itself begins a new line
        if (!event.ctrlKey && !event.metaKey) return
        event.preventDefault()
        const send = event.target.closest('[data-testid="stChatInput"]')?.querySelector<HTMLElement>(SUBMIT)
        send?.click()
      }
      typing = false
      this.forget()
    }
  }

  private readonly left = (event: Event): void => {
    // whoever goes elsewhere goes on there: what is typed must be known before
    if (event.type !== "focusout" || event.target === this.box()) this.flush()
  }

  private readonly dragged = (event: DragEvent): void => {
    if (!this.takesFiles(event)) return
    event.preventDefault() // else the browser opens the file in place of the page
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy"
    this.mark(true)
  }
  private readonly dragLeft = (event: DragEvent): void => {
    if (event.relatedTarget === null) this.mark(false)
  }
  private readonly dropped = (event: DragEvent): void => {
    this.mark(false)
    if (!this.takesFiles(event) || !event.dataTransfer) return
    event.preventDefault()
    event.stopPropagation()
    const files: File[] = []
    for (const item of Array.from(event.dataTransfer.items)) {
      if (item.kind !== "file") continue
      const file = item.getAsFile()
      if (item.webkitGetAsEntry()?.isDirectory) this.refuse("folder", file?.name ?? "", 0)
      else if (file) files.push(file)
    }
    this.attach(files)
  }
  private readonly pasted = (event: ClipboardEvent): void => {
    const files = this.data.files
    if (!files || event.target !== this.box() || !event.clipboardData) return
    const text = event.clipboardData.getData("text/plain").replace(/\r\n?/g, "\n")
    if (event.clipboardData.files.length && !text) {
      event.preventDefault()
      this.attach(Array.from(event.clipboardData.files))
    } else if (text.length >= files.long_paste) {
      this.send({ type: "pasted", text } as Action)
    }
  }
  private readonly chosen = (event: Event): void => {
    const files = this.data.files
    const input = event.target
    if (!files || !(input instanceof HTMLInputElement) || !input.matches(files.chooser)) return
    const chosen = Array.from(input.files ?? [])
    const fitting = chosen.filter((file) => file.size <= files.max_bytes)
    if (fitting.length === chosen.length) return
    event.stopPropagation() // what is too large is not even uploaded
    input.value = ""
    this.attach(chosen)
  }

  constructor() {
    hear(1)
    document.addEventListener("dragover", this.dragged, true)
    document.addEventListener("dragleave", this.dragLeft, true)
    document.addEventListener("drop", this.dropped, true)
    document.addEventListener("paste", this.pasted, true)
    document.addEventListener("change", this.chosen, true)
    document.addEventListener("focusout", this.left, true)
    document.addEventListener("pointerdown", this.elsewhere, true)
    window.addEventListener("pagehide", this.left)
    document.addEventListener("visibilitychange", this.left)
    document.addEventListener("input", this.typed, true)
    document.addEventListener("compositionend", this.typed, true)
    document.addEventListener("keydown", this.pressed, true)
  }

  update(data: DraftData): void {
    this.data = data
    window.cancelAnimationFrame(this.frame)
    this.look()
  }

  /** Look at the box, which may come after this: what a quick person typed is heard, and what is to stand there is put in. */
  private look(): void {
    const box = this.box()
    if (!box) {
      this.frame = window.requestAnimationFrame(() => this.look())
      return
    }
    box.toggleAttribute("data-takes-files", Boolean(this.data.files))
    const { show } = this.data
    const isNew = show !== null && show.token !== shown
    const heard = begun ? !isNew : "tkTyped" in document.documentElement.dataset // by the page's script (base.js)
    if (!this.looked && box.value && heard) {
      if (!begun) typing = true
      this.text = box.value
      this.later() // also what the one before this heard and could no longer tell
    }
    this.looked = begun = true
    if (isNew) {
      shown = show.token
      this.show(show.text)
    }
    if (box.value === "") this.last = ""
  }

  close(): void {
    this.flush()
    hear(-1)
    window.cancelAnimationFrame(this.frame)
    this.mark(false)
    document.removeEventListener("dragover", this.dragged, true)
    document.removeEventListener("dragleave", this.dragLeft, true)
    document.removeEventListener("drop", this.dropped, true)
    document.removeEventListener("paste", this.pasted, true)
    document.removeEventListener("change", this.chosen, true)
    document.removeEventListener("focusout", this.left, true)
    document.removeEventListener("pointerdown", this.elsewhere, true)
    window.removeEventListener("pagehide", this.left)
    document.removeEventListener("visibilitychange", this.left)
    document.removeEventListener("input", this.typed, true)
    document.removeEventListener("compositionend", this.typed, true)
    document.removeEventListener("keydown", this.pressed, true)
  }

  private box(): HTMLTextAreaElement | null {
    return document.querySelector<HTMLTextAreaElement>(this.data.box)
  }

  /** Files in flight belong to the box, unless they are over a file chooser or a dialog is open. */
  private takesFiles(event: DragEvent): boolean {
    if (!this.data.files || !this.box() || !event.dataTransfer?.types.includes("Files")) return false
    const over = event.target instanceof Element ? event.target : null
    return !document.querySelector('[role="dialog"]') && !over?.closest('[data-testid="stFileUploaderDropzone"]')
  }

  private mark(on: boolean): void {
    this.box()?.closest('[data-testid="stChatInput"]')?.toggleAttribute("data-dropping", on)
  }

  private attach(files: File[], tries = MOST_TRIES): void {
    const data = this.data.files
    if (!data) return
    const input = document.querySelector<HTMLInputElement>(data.chooser)
    if (!input) {
      // the page is being drawn
      if (tries) window.setTimeout(() => this.attach(files, tries - 1), TRY_MS)
      return
    }
    const carried = new DataTransfer()
    for (const file of files) {
      if (file.size > data.max_bytes) this.refuse("too_large", file.name, file.size)
      else carried.items.add(file)
    }
    if (!carried.files.length) return
    input.files = carried.files
    input.dispatchEvent(new Event("change", { bubbles: true }))
  }

  private refuse(reason: string, text: string, size: number): void {
    this.send({ type: "refused", reason, text, size } as Action)
  }

  private show(text: string): void {
    const box = this.box()
    if (!box || box.value === text || typing) return // never over what is being typed
    this.forget()
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set?.call(box, text)
    this.last = text
    box.dispatchEvent(new Event("input", { bubbles: true }))
    typing = false
    this.forget()
    this.last = text
  }

  private forget(): void {
    window.clearTimeout(this.timer)
    this.waiting = false
    this.last = ""
  }

  private later(): void {
    window.clearTimeout(this.timer)
    this.waiting = true
    this.timer = window.setTimeout(() => this.flush(), this.data.pause_ms)
  }

  private flush(): void {
    if (!this.waiting) return
    window.clearTimeout(this.timer)
    this.waiting = false
    const text = (this.box()?.value ?? this.text).slice(0, this.data.longest)
    if (text === this.last) return
    this.last = text
    this.send({ type: "draft", text } as Action)
  }
}
