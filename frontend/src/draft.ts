// Reads along in the message box of the page and tells Python when a person pauses. Draws nothing.
// The box belongs to Streamlit, which sends its text only when it is submitted.
import type { Action } from "./types"

export interface DraftData {
  box: string // CSS selector of the textarea
  pause_ms: number
  longest: number
  /** What the box is to show, once for each token: Streamlit does not empty a box it believes empty. */
  show: { text: string; token: string } | null
}

let shown = ""
let typing = false // since a person last did something elsewhere

export class Draft {
  send: (action: Action) => void = () => undefined
  private data: DraftData = { box: "", pause_ms: 600, longest: 4000, show: null }
  private last = ""
  private timer = 0
  private waiting = false
  private readonly typed = (event: Event): void => {
    if (!(event.target instanceof HTMLTextAreaElement && event.target.matches(this.data.box))) return
    typing = true
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
      typing = false
      this.forget()
    }
  }

  private readonly left = (event: Event): void => {
    // whoever goes elsewhere goes on there: what is typed must be known before
    if (event.type !== "focusout" || event.target === this.box()) this.flush()
  }

  constructor() {
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
    if (data.show && data.show.token !== shown) {
      shown = data.show.token
      this.show(data.show.text)
    }
    if (this.box()?.value === "") this.last = ""
  }

  close(): void {
    this.flush()
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
    const text = (this.box()?.value ?? "").slice(0, this.data.longest)
    if (text === this.last) return
    this.last = text
    this.send({ type: "draft", text } as Action)
  }
}
