// Dictation into the page's message box by a recognition that runs on the device. A button where the browser has
// one; on the settings page, which has no box, a sentence where it has none. Sends nothing.
import { h } from "./dom"
import { icon } from "./icons"
import { followTheme } from "./page"
import type { Action } from "./types"

export interface DictationData {
  box: string | null // CSS selector of the textarea
  texts: Record<string, string>
  lang: string
}

type Availability = "available" | "downloadable" | "downloading" | "unavailable"

interface Languages {
  langs: string[]
  processLocally: true
}

interface Results {
  resultIndex: number
  results: ArrayLike<ArrayLike<{ transcript: string }> & { isFinal: boolean }>
}

interface Recognition {
  lang: string
  continuous: boolean
  interimResults: boolean
  processLocally: boolean
  onresult: ((event: Results) => void) | null
  onerror: ((event: { error: string }) => void) | null
  onend: (() => void) | null
  start(): void
  stop(): void
  abort(): void
}

interface RecognitionKind {
  new (): Recognition
  available(languages: Languages): Promise<Availability>
  install(languages: Languages): Promise<boolean>
}

/** Browsers name Chinese in either way. */
const LANGUAGES: Record<string, string[]> = { zh: ["zh-CN", "cmn-Hans-CN"], en: ["en-US"] }
const REFUSED = new Set(["not-allowed", "audio-capture"])
const QUIET = new Set(["no-speech", "aborted"])

/** The browser's recognition, if it can be bound to the device. */
function recognitionKind(): RecognitionKind | null {
  const own = window as unknown as Record<string, RecognitionKind | undefined>
  const kind = own.SpeechRecognition ?? own.webkitSpeechRecognition
  return kind && "available" in kind && "processLocally" in kind.prototype ? kind : null
}

export class Dictation {
  send: (action: Action) => void = () => undefined
  private data: DictationData = { box: null, texts: {}, lang: "" }
  private readonly root = h("div", { class: "tk-root tk-dictation", hidden: true })
  private readonly button = h("button", { type: "button", class: "tk-icon-button tk-mic", "aria-pressed": "false" })
  private readonly note = h("span", { class: "tk-figures", role: "status" })
  private state: Availability = "unavailable"
  private language = ""
  private offered = false // that the browser fetches a language pack
  private recognition: Recognition | null = null
  private readonly pressed = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || event.isComposing || !this.recognition) return
    event.preventDefault()
    this.stop()
  }

  constructor(parent: ShadowRoot | HTMLElement) {
    this.button.innerHTML = icon("mic")
    this.button.addEventListener("click", () => void this.turn())
    document.addEventListener("keydown", this.pressed, true)
    this.root.append(this.button, this.note)
    parent.append(this.root)
  }

  update(data: DictationData): void {
    const other = data.lang !== this.data.lang
    this.data = data
    followTheme(this.root)
    this.root.lang = data.lang === "zh" ? "zh-CN" : data.lang
    this.draw()
    if (other) void this.ask()
  }

  close(): void {
    document.removeEventListener("keydown", this.pressed, true)
    this.recognition?.abort()
    this.root.remove()
  }

  /** Ask the browser whether it recognises the page's language on the device. */
  private async ask(): Promise<void> {
    const { lang } = this.data
    this.stop()
    this.state = "unavailable"
    this.offered = false
    for (const language of LANGUAGES[lang] ?? []) {
      const state = await recognitionKind()?.available({ langs: [language], processLocally: true }).catch(() => undefined)
      if (lang !== this.data.lang) return // asked anew meanwhile
      if (!state || state === "unavailable") continue
      this.state = state
      this.language = language
      break
    }
    const none = this.state === "unavailable"
    this.root.hidden = this.data.box ? none : !none
    this.say(none && !this.data.box ? this.text("none") : "")
  }

  private async turn(): Promise<void> {
    if (this.recognition) this.stop()
    else if (this.state === "available") this.start()
    else if (!this.offered) {
      this.offered = true
      this.say(this.text("pack"))
    } else await this.install()
  }

  private async install(): Promise<void> {
    this.say(this.text("fetching"))
    const { language } = this
    const installed = await recognitionKind()?.install({ langs: [language], processLocally: true }).catch(() => false)
    if (language !== this.language) return
    if (installed) this.state = "available"
    else this.offered = false
    this.say(this.text(installed ? "ready" : "failed"))
  }

  private start(): void {
    const kind = recognitionKind()
    if (!kind) return
    const recognition = new kind()
    recognition.processLocally = true
    recognition.lang = this.language
    recognition.continuous = true
    recognition.interimResults = false
    recognition.onresult = ({ resultIndex, results }) => {
      for (const result of Array.from(results).slice(resultIndex)) if (result.isFinal) this.put(result[0]?.transcript ?? "")
    }
    recognition.onerror = ({ error }) => {
      if (!QUIET.has(error)) this.say(this.text(REFUSED.has(error) ? "refused" : "failed"))
    }
    recognition.onend = () => {
      if (this.recognition !== recognition) return
      this.recognition = null
      this.draw()
    }
    this.say("")
    try {
      recognition.start()
      this.recognition = recognition
    } catch {
      this.say(this.text("failed"))
    }
    this.draw()
  }

  /** Hear no more; what was said until now still comes. */
  private stop(): void {
    this.recognition?.stop()
    this.recognition = null
    this.draw()
  }

  /** Put a text into the message box at the cursor, as if it were typed. */
  private put(transcript: string): void {
    const box = this.data.box ? document.querySelector<HTMLTextAreaElement>(this.data.box) : null
    const text = transcript.trim()
    if (!box || !text) return
    const before = box.value.slice(0, box.selectionStart)
    const after = box.value.slice(box.selectionEnd)
    const left = /[^\s\p{Script=Han}，。！？；：、（“]$/u.test(before) && /^[^\p{Script=Han}]/u.test(text) ? " " : ""
    const right = /^[\p{Script=Latin}\p{N}]/u.test(after) && /[^\p{Script=Han}]$/u.test(text) ? " " : ""
    box.setRangeText(left + text + right, box.selectionStart, box.selectionEnd, "end")
    box.dispatchEvent(new Event("input", { bubbles: true }))
  }

  private draw(): void {
    const listening = this.recognition !== null
    this.button.hidden = !this.data.box
    this.button.setAttribute("aria-label", this.text("button"))
    this.button.setAttribute("aria-pressed", String(listening))
    this.button.title = this.text(listening ? "stop" : "button")
  }

  private say(text: string): void {
    this.note.textContent = text
  }

  private text(key: string): string {
    return this.data.texts[key] ?? key
  }
}
