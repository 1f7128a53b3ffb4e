// What every display of live answers does: its texts, the live topic, the status that ticks while an
// answer is written, and what is said to a screen reader. How messages are laid out is each one's own.
import { Brush } from "./brush"
import { look, onDrawn } from "./diagram"
import { fill, h } from "./dom"
import { labels } from "./markdown"
import { onMathReady } from "./math"
import type { MessageView, Surroundings } from "./message"
import { followTheme } from "./page"
import { LiveTopic, type Audience } from "./topic"
import type { Action, Message, Options } from "./types"

const TICK_MS = 500

export abstract class LiveDisplay implements Surroundings, Audience {
  texts: Record<string, string> = {}
  options: Options = {}
  messages: Message[] = []
  send: (action: Action) => void = () => undefined
  protected readonly root = h("div", { class: "tk-root" })
  protected readonly offline = h("div", { class: "tk-offline", hidden: true })
  protected readonly spoken = h("div", { class: "tk-spoken", role: "status", "aria-live": "polite" })
  protected readonly topic = new LiveTopic(this)
  private readonly brush = new Brush((ids, now) => this.drawGrown(ids, now))
  private timer: ReturnType<typeof setInterval> | undefined
  private readonly unlistenMath = onMathReady(() => {
    for (const { id } of this.messages) {
      const view = this.view(id)
      if (view?.hasWaitingMath) view.redrawText()
    }
  })
  private readonly unlistenDiagrams = onDrawn(() => this.redrawDiagrams())

  constructor() {
    document.addEventListener("keydown", this.pressed)
  }

  abstract redraw(id: string): void
  protected abstract view(id: string): MessageView | undefined
  /** Text was added to these messages. */
  protected abstract drawGrown(ids: Iterable<string>, now: number): void
  protected abstract keyed(event: KeyboardEvent): void

  close(): void {
    this.topic.close()
    this.brush.close()
    this.unlistenMath()
    this.unlistenDiagrams()
    clearInterval(this.timer)
    document.removeEventListener("keydown", this.pressed)
    this.root.remove()
  }

  act(action: Action): void {
    this.send(action)
  }

  stop(id: string): void {
    this.topic.stop(id)
  }

  connected(connected: boolean): void {
    this.offline.hidden = connected || !this.topic.anyLive
  }

  grew(id: string): void {
    this.brush.soon(id)
  }

  status(id: string): void {
    this.view(id)?.drawStatus(performance.now())
    this.tick()
  }

  say(text: string): void {
    if (this.spoken.textContent !== text) this.spoken.textContent = text
  }

  words(key: string): string {
    return this.texts[key] ?? key
  }

  /** Take over the language and the brightness of the page. */
  protected dress(texts: Record<string, string>, options: Options): void {
    this.texts = texts
    this.options = options
    labels.copy = this.words("code.copy")
    labels.wrap = this.words("code.wrap")
    labels.save = this.words("code.save")
    labels.plain = this.words("code.plain")
    labels.image = this.words("image")
    labels.source = this.words("code.source")
    labels.drawing = this.words("code.drawing")
    labels.drawn = this.words("code.drawn")
    const language = options.lang === "zh" ? "zh-CN" : (options.lang ?? "en")
    document.documentElement.lang = language
    this.root.lang = language
    followTheme(this.root, this.themeChanged)
    this.offline.textContent = this.words("phase.offline")
  }

  /** Keep the status lines going while anything is written. */
  protected tick(): void {
    const live = this.topic.anyLive
    if (live && this.timer === undefined) {
      this.timer = setInterval(() => {
        const now = performance.now()
        for (const [id, answer] of this.topic.live()) {
          this.view(id)?.drawStatus(now)
          const stalled = answer.stalledSeconds(now)
          if (stalled > 2 && stalled < 2.6) this.say(fill(this.words("phase.stalled"), { n: Math.floor(stalled) }))
        }
      }, TICK_MS)
    } else if (!live && this.timer !== undefined) {
      clearInterval(this.timer)
      this.timer = undefined
      this.offline.hidden = true
    }
  }

  /** Every diagram again: one that has come since, or one for the other brightness of the page. */
  private redrawDiagrams(): void {
    for (const { id } of this.messages) {
      const view = this.view(id)
      if (view?.hasDiagram) view.redrawText()
    }
  }

  private readonly themeChanged = (): void => {
    look.theme = this.root.dataset.theme === "dark" ? "dark" : "light"
    this.redrawDiagrams()
  }

  private readonly pressed = (event: KeyboardEvent): void => this.keyed(event)
}
