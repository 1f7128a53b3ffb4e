// Reads an answer aloud by the browser's own speech, with voices of this computer alone. One answer at a time.
// Draws nothing: what an answer's button shows is message.ts's.

export type SpokenLanguage = "zh" | "en"

/** Said in place of what makes no sense letter by letter, in the answer's language, not the page's. */
const STAND_INS = {
  zh: { code: "代码", formula: "公式", stop: "。" },
  en: { code: "code", formula: "formula", stop: "." },
}
/** Browsers break off an utterance after about 15 seconds. */
const MOST_CHARS = { zh: 50, en: 160 }
const VOICES_WITHIN_MS = 1000
const STOOD_IN_FOR = ".tk-code, .tk-math, .katex"
const NOT_READ = "button, .tk-code-head, [hidden], [aria-hidden=true]"
const BLOCKS = "p, li, h1, h2, h3, h4, h5, h6, tr, blockquote, hr, br, .tk-code, .tk-math-block"
const ENDED = /[.!?;:。！？；：…]["'”’）)]*$/

class Reader {
  private id: string | null = null
  private parts: string[] = []
  private utterance: SpeechSynthesisUtterance | null = null // held, as browsers forget an utterance that nobody holds
  private changed: () => void = () => undefined
  private readonly pressed = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || event.isComposing) return
    if (!document.querySelector('[role="dialog"], [data-baseweb="popover"]')) event.preventDefault()
    this.stop()
  }
  private readonly left = (): void => this.stop()

  /** The message that is being read. */
  get reading(): string | null {
    return this.id
  }

  /** Read a message; `changed` is called when it ends in any way. False without a voice of this computer. */
  async start(id: string, content: Element, language: SpokenLanguage, changed: () => void): Promise<boolean> {
    this.stop()
    this.id = id
    this.changed = changed
    document.addEventListener("keydown", this.pressed, true)
    window.addEventListener("pagehide", this.left)
    const voice = await localVoice(language)
    if (this.id !== id || this.changed !== changed) return true // stopped meanwhile
    if (!voice) {
      this.stop()
      return false
    }
    this.parts = cut(spokenText(content, language), MOST_CHARS[language])
    this.next(voice)
    return true
  }

  stop(): void {
    if (this.id === null) return
    this.id = this.utterance = null
    document.removeEventListener("keydown", this.pressed, true)
    window.removeEventListener("pagehide", this.left)
    window.speechSynthesis?.cancel()
    this.changed()
  }

  private next(voice: SpeechSynthesisVoice): void {
    const text = this.parts.shift()
    if (text === undefined) return this.stop()
    const utterance = new SpeechSynthesisUtterance(text)
    utterance.voice = voice
    utterance.lang = voice.lang
    utterance.onend = () => {
      if (this.utterance === utterance) this.next(voice)
    }
    utterance.onerror = () => {
      if (this.utterance === utterance) this.stop()
    }
    this.utterance = utterance
    window.speechSynthesis.speak(utterance)
  }
}

export const reader = new Reader()

/** The language of a drawn answer by its characters, its code left out; a Chinese one may hold many a Latin word. */
export function languageOf(content: Element): SpokenLanguage {
  const copy = content.cloneNode(true) as Element
  for (const element of copy.querySelectorAll(`code, ${STOOD_IN_FOR}, ${NOT_READ}`)) element.remove()
  const text = copy.textContent ?? ""
  const chinese = text.match(/\p{Script=Han}/gu)?.length ?? 0
  const latin = text.match(/\p{Script=Latin}/gu)?.length ?? 0
  return chinese * 3 > latin ? "zh" : "en"
}

/** A voice that speaks on this computer, the browser's default before others. */
async function localVoice(language: SpokenLanguage): Promise<SpeechSynthesisVoice | null> {
  const names = language === "zh" ? /^(zh|cmn)\b/ : /^en\b/
  const spoken = (voice: SpeechSynthesisVoice): string => voice.lang.toLowerCase().replaceAll("_", "-")
  const fitting = (await voices()).filter((voice) => voice.localService && names.test(spoken(voice)))
  const wanted = language === "zh" ? /^(zh-cn|zh-hans|cmn-hans|cmn-cn)/ : /^en/
  return fitting.find((voice) => voice.default) ?? fitting.find((voice) => wanted.test(spoken(voice))) ?? fitting[0] ?? null
}

/** The browser's voices; some browsers know them only a moment after they are first asked. */
async function voices(): Promise<SpeechSynthesisVoice[]> {
  const speech = window.speechSynthesis
  if (!speech) return []
  if (!speech.getVoices().length) {
    await new Promise<void>((resolve) => {
      speech.addEventListener("voiceschanged", () => resolve(), { once: true })
      setTimeout(resolve, VOICES_WITHIN_MS)
    })
  }
  return speech.getVoices()
}

/** What is read of a drawn answer: each block a sentence, code and formulas by a word. */
function spokenText(content: Element, language: SpokenLanguage): string {
  const words = STAND_INS[language]
  const copy = content.cloneNode(true) as Element
  for (const element of copy.querySelectorAll(".tk-math, .katex")) element.replaceChildren(` ${words.formula} `)
  for (const element of copy.querySelectorAll(".tk-code")) element.replaceChildren(words.code)
  for (const element of copy.querySelectorAll(NOT_READ)) element.remove()
  for (const element of copy.querySelectorAll("td, th")) element.append(language === "zh" ? "，" : ", ")
  for (const element of copy.querySelectorAll(BLOCKS)) {
    element.before("\n")
    element.after("\n")
  }
  return (copy.textContent ?? "")
    .split("\n")
    .map((line) => line.replace(/\s+/g, " ").replace(/[，,]?\s*$/, "").trim())
    .filter((line) => /[\p{L}\p{N}]/u.test(line))
    .map((line) => (ENDED.test(line) ? line : line + words.stop))
    .join("\n")
}

/** Cut a text at its sentences into parts of at most so many characters; a longer sentence at a comma or a space. */
function cut(text: string, most: number): string[] {
  const parts: string[] = []
  for (const sentence of text.split(/(?<=[。！？；])|(?<=[.!?;:])\s+|\n/)) {
    let rest = sentence.trim()
    while (rest.length > most) {
      const head = rest.slice(0, most)
      const comma = Math.max(...[..."，、,："].map((mark) => head.lastIndexOf(mark) + 1))
      const end = comma || head.lastIndexOf(" ") + 1 || most
      parts.push(rest.slice(0, end).trim())
      rest = rest.slice(end).trim()
    }
    if (rest) parts.push(rest)
  }
  return parts
}
