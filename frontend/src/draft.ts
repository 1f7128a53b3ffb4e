// Reads along in the message box of the page and tells Python when a person pauses. Draws nothing.
// The box belongs to Streamlit, which sends its text only when it is submitted.
import type { Action } from "./types"

export interface DraftData {
  box: string // CSS selector of the textarea
  pause_ms: number
  longest: number
}

export class Draft {
  send: (action: Action) => void = () => undefined
  private data: DraftData = { box: "", pause_ms: 600, longest: 4000 }
  private last = ""
  private timer = 0
  private readonly typed = (event: Event): void => {
    if (event.target instanceof HTMLTextAreaElement && event.target.matches(this.data.box)) this.later()
  }
  private readonly pressed = (event: KeyboardEvent): void => {
    // Enter sends the message: what was read of it must not arrive afterwards
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      if (event.target instanceof HTMLTextAreaElement && event.target.matches(this.data.box)) this.forget()
    }
  }

  constructor() {
    document.addEventListener("input", this.typed, true)
    document.addEventListener("compositionend", this.typed, true)
    document.addEventListener("keydown", this.pressed, true)
  }

  update(data: DraftData): void {
    this.data = data
    if (this.box()?.value === "") this.last = ""
  }

  close(): void {
    this.forget()
    document.removeEventListener("input", this.typed, true)
    document.removeEventListener("compositionend", this.typed, true)
    document.removeEventListener("keydown", this.pressed, true)
  }

  private box(): HTMLTextAreaElement | null {
    return document.querySelector<HTMLTextAreaElement>(this.data.box)
  }

  private forget(): void {
    window.clearTimeout(this.timer)
    this.last = ""
  }

  private later(): void {
    window.clearTimeout(this.timer)
    this.timer = window.setTimeout(() => {
      const text = (this.box()?.value ?? "").slice(0, this.data.longest)
      if (text === this.last) return
      this.last = text
      this.send({ type: "draft", text } as Action)
    }, this.data.pause_ms)
  }
}
