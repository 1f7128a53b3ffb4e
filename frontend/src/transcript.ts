// The whole transcript: merges what Python stored with what the live topic says, and keeps one
// element per message for as long as the message is shown.
import { Brush } from "./brush"
import { h, fill } from "./dom"
import { icon } from "./icons"
import { labels } from "./markdown"
import { onMathReady } from "./math"
import { MessageView, type Surroundings } from "./message"
import { darkPage } from "./page"
import { Follower } from "./scroll"
import { LiveTopic, type Audience } from "./topic"
import type { Action, Data, Message, Options } from "./types"

const TICK_MS = 500

export class Transcript implements Surroundings, Audience {
  texts: Record<string, string> = {}
  options: Options = {}
  send: (action: Action) => void = () => undefined
  private readonly root = h("div", { class: "tk-root" })
  private readonly list = h("div", { class: "tk-list" })
  private readonly earlier = h("button", { type: "button", class: "tk-button tk-quiet tk-earlier", hidden: true })
  private readonly latest = h("button", { type: "button", class: "tk-latest", hidden: true })
  private readonly offline = h("div", { class: "tk-offline", hidden: true })
  private readonly spoken = h("div", { class: "tk-spoken", role: "status", "aria-live": "polite" })
  private readonly divider = h("div", { class: "tk-divider", role: "separator" })
  private readonly views = new Map<string, MessageView>()
  private readonly topic = new LiveTopic(this)
  private readonly brush = new Brush((ids, now) => {
    for (const id of ids) {
      this.views.get(id)?.drawText()
      this.views.get(id)?.drawStatus(now)
    }
    this.follower.keep()
  })
  messages: Message[] = []
  private readonly follower: Follower
  private timer: ReturnType<typeof setInterval> | undefined
  private readonly unlistenMath: () => void
  private bottom: HTMLElement | null = null
  private readonly bottomSize = new ResizeObserver(() => {
    this.root.style.setProperty("--tk-bottom", `${this.bottom?.offsetHeight ?? 0}px`)
  })

  constructor(parent: ShadowRoot | HTMLElement) {
    this.root.append(this.earlier, this.list, this.offline, h("div", { class: "tk-latest-place" }, this.latest), this.spoken)
    parent.append(this.root)
    this.follower = new Follower(this.root, (following) => (this.latest.hidden = following))
    this.earlier.addEventListener("click", () => {
      this.follower.follow(false)
      this.act({ type: "earlier" })
    })
    this.latest.addEventListener("click", () => this.follower.jump())
    document.addEventListener("keydown", this.keyed)
    this.unlistenMath = onMathReady(() => {
      for (const view of this.views.values()) if (view.hasWaitingMath) view.redrawText()
    })
  }

  update(data: Data): void {
    this.texts = data.texts
    this.options = data.options
    labels.copy = this.text("code.copy")
    labels.plain = this.text("code.plain")
    labels.image = this.text("image")
    const language = data.options.lang === "zh" ? "zh-CN" : (data.options.lang ?? "en")
    document.documentElement.lang = language
    this.root.lang = language
    this.root.dataset.theme = darkPage(this.root) ? "dark" : "light"
    this.root.style.setProperty("--tk-width", data.options.max_width ?? "48rem")
    this.measureBottom()
    this.listenTo(data.topic)
    const grown = data.messages.at(-1)?.id !== this.messages.at(-1)?.id
    if (grown && data.messages.findLast((message) => message.role === "user")?.id !== this.messages.findLast((message) => message.role === "user")?.id) {
      this.follower.follow(true)
    }
    this.messages = data.messages
    this.topic.stored(data.messages)
    this.drawAll()
  }

  act(action: Action): void {
    this.send(action)
  }

  stop(messageId: string): void {
    this.topic.stop(messageId)
  }

  close(): void {
    this.topic.close()
    this.brush.close()
    this.follower.close()
    this.bottomSize.disconnect()
    this.unlistenMath()
    clearInterval(this.timer)
    document.removeEventListener("keydown", this.keyed)
    this.root.remove()
  }

  // ---- live ---------------------------------------------------------------------------------

  private listenTo(topic: string): void {
    if (!this.topic.listen(topic)) return
    this.views.clear()
    this.messages = []
    this.list.replaceChildren()
    this.follower.follow(true)
  }

  connected(connected: boolean): void {
    this.offline.hidden = connected || !this.topic.anyLive
  }

  grew(id: string): void {
    this.brush.soon(id)
  }

  status(id: string): void {
    this.views.get(id)?.drawStatus(performance.now())
    this.tick()
  }

  // ---- drawing ------------------------------------------------------------------------------

  private drawAll(): void {
    const { options } = this
    this.earlier.hidden = !options.earlier
    if (options.earlier) {
      this.earlier.innerHTML = icon("up")
      this.earlier.append(h("span", {}, fill(this.text("earlier"), { n: options.earlier })))
    }
    this.latest.title = this.text("latest")
    this.latest.innerHTML = icon("down")
    this.latest.append(h("span", {}, this.text("latest")))
    this.offline.textContent = this.text("phase.offline")
    this.divider.replaceChildren(h("span", {}, this.text("cleared")))
    this.follower.anchored(this.list.firstElementChild, () => this.place())
    this.tick()
  }

  private place(): void {
    const kept = new Set(this.messages.map((message) => message.id))
    for (const [id] of this.views) if (!kept.has(id)) this.views.delete(id)
    const cleared = this.options.cleared_after
    const wanted: Element[] = cleared === "" ? [this.divider] : []
    this.messages.forEach((message, index) => {
      let view = this.views.get(message.id)
      if (!view) {
        view = new MessageView(message, this)
        this.views.set(message.id, view)
      }
      view.update(message, this.topic.get(message.id), index === this.messages.length - 1)
      wanted.push(view.element)
      if (cleared && cleared === message.id) wanted.push(this.divider)
    })
    let position = this.list.firstElementChild
    for (const element of wanted) {
      if (position === element) position = element.nextElementSibling
      else this.list.insertBefore(element, position)
    }
    while (position) {
      const next = position.nextElementSibling
      position.remove()
      position = next
    }
  }

  redraw(id: string): void {
    this.tick()
    const index = this.messages.findIndex((message) => message.id === id)
    const message = this.messages[index]
    if (!message) return
    this.views.get(id)?.update(message, this.topic.get(id), index === this.messages.length - 1)
    this.follower.keep()
  }

  private tick(): void {
    const live = this.topic.anyLive
    if (live && this.timer === undefined) {
      this.timer = setInterval(() => {
        const now = performance.now()
        for (const [id, answer] of this.topic.live()) {
          const view = this.views.get(id)
          const stalled = answer.stalledSeconds(now)
          view?.drawStatus(now)
          if (stalled > 2 && stalled < 2.6) this.say(fill(this.text("phase.stalled"), { n: Math.floor(stalled) }))
        }
      }, TICK_MS)
    } else if (!live && this.timer !== undefined) {
      clearInterval(this.timer)
      this.timer = undefined
      this.offline.hidden = true
    }
  }

  /** The chat input covers the end of the page: the button to the newest text stands above it. */
  private measureBottom(): void {
    const bottom = document.querySelector<HTMLElement>('[data-testid="stBottom"]')
    if (bottom === this.bottom) return
    this.bottomSize.disconnect()
    this.bottom = bottom
    if (bottom) this.bottomSize.observe(bottom)
  }

  say(text: string): void {
    if (this.spoken.textContent !== text) this.spoken.textContent = text
  }

  private readonly keyed = (event: KeyboardEvent): void => {
    if (event.isComposing || event.defaultPrevented || this.options.shortcuts === false) return
    if (event.key === "Escape") {
      if (document.querySelector('[role="dialog"], [data-baseweb="popover"]')) return
      for (const [id, answer] of this.topic.live()) {
        if (!answer.queued) {
          event.preventDefault()
          this.stop(id)
          return
        }
      }
    } else if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === "x") {
      event.preventDefault()
      this.act({ type: "release" })
    }
  }

  words(key: string): string {
    return this.texts[key] ?? key
  }

  private text(key: string): string {
    return this.words(key)
  }
}
