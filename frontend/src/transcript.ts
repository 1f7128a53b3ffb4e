// The whole transcript: merges what Python stored with what the live topic says, and keeps one
// element per message for as long as the message is shown.
import { LiveAnswer, active } from "./answer"
import { h, fill } from "./dom"
import { icon } from "./icons"
import { LiveConnection } from "./live"
import { labels } from "./markdown"
import { onMathReady } from "./math"
import { MessageView, type Surroundings } from "./message"
import { Follower } from "./scroll"
import type { Action, Data, Job, LiveEvent, Message, Options } from "./types"

const TICK_MS = 500
const SHORTEST_FRAME_MS = 60
const SHARE = 9 // one part drawing, eight parts rest
const REFRESH_MS = 60
const UNKNOWN_MS = 1500

export class Transcript implements Surroundings {
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
  private readonly answers = new Map<string, LiveAnswer>() // by message id
  private messages: Message[] = []
  private topic = ""
  private connection: LiveConnection | null = null
  private readonly follower: Follower
  private frame: ReturnType<typeof setTimeout> | undefined
  private drawnAt = 0
  private cost = 0
  private readonly changed = new Set<string>()
  private timer: ReturnType<typeof setInterval> | undefined
  private refreshTimer: ReturnType<typeof setTimeout> | undefined
  private unknownAt = 0
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
    for (const message of data.messages) {
      const answer = this.answers.get(message.id)
      if (!answer?.ended) continue
      if (message.state !== "streaming" && message.state !== "queued") this.answers.delete(message.id)
      else if (answer.asked < 5) {
        answer.asked += 1 // Python read just before the end was stored
        this.refresh("done", 400 * answer.asked)
      }
    }
    this.drawAll()
  }

  act(action: Action): void {
    this.send(action)
  }

  stop(messageId: string): void {
    const answer = this.answers.get(messageId)
    if (!answer || answer.ended || answer.stopping) return
    const queued = answer.queued
    answer.stopping = true
    this.redraw(messageId)
    const action = { type: queued ? "cancel" : "stop", message: messageId, job: answer.job.id }
    void this.connection?.stop(answer.job.id).then((told) => {
      if (!told || queued) this.act(action)
    })
  }

  close(): void {
    this.connection?.close()
    this.follower.close()
    this.bottomSize.disconnect()
    this.unlistenMath()
    clearInterval(this.timer)
    clearTimeout(this.frame)
    clearTimeout(this.refreshTimer)
    document.removeEventListener("keydown", this.keyed)
    this.root.remove()
  }

  // ---- live ---------------------------------------------------------------------------------

  private listenTo(topic: string): void {
    if (topic === this.topic) return
    this.connection?.close()
    this.connection = null
    this.topic = topic
    this.answers.clear()
    this.views.clear()
    this.messages = []
    this.list.replaceChildren()
    this.follower.follow(true)
    if (topic) {
      this.connection = new LiveConnection(topic, this.hear, (connected) => {
        this.offline.hidden = connected || !this.anyLive()
      })
    }
  }

  private readonly hear = (events: LiveEvent[]): void => {
    for (const event of events) this.hearOne(event)
  }

  private hearOne(event: LiveEvent): void {
    if (event.type === "snapshot") this.takeSnapshot(event.jobs)
    else if (event.type === "job") this.takeJob(event.job)
    else if (event.type === "delta") {
      const answer = this.answers.get(event.message)
      if (answer?.job.id !== event.job || !answer.add(event)) {
        this.connection?.send({ type: "sync" })
        return
      }
      this.changed.add(event.message)
      this.drawSoon()
    } else if (event.type === "guard") {
      const answer = this.answers.get(event.message)
      if (answer) answer.guard = [...answer.guard, event.event]
      this.redraw(event.message)
    } else if (event.type === "notice") {
      const answer = this.answers.get(event.message)
      if (answer) answer.unsaved = event.error !== null
      this.redraw(event.message)
    } else if (event.type === "done") {
      const answer = this.answers.get(event.message)
      if (answer && answer.job.id === event.job) {
        answer.finished(event)
        this.say(fill(this.text("live.done"), { reason: this.text(`finish.${event.finish_reason ?? "stop"}`) }))
        this.redraw(event.message)
      }
      this.refresh("done")
    } else if (event.type === "changed") this.refresh("changed")
  }

  private takeSnapshot(jobs: Job[]): void {
    const told = new Set(jobs.map((job) => job.id))
    for (const [id, answer] of this.answers) {
      if (!answer.ended && !told.has(answer.job.id)) {
        answer.end(answer.finish) // it ended while we were away; the stored message tells how
        this.redraw(id)
        this.refresh("done")
      }
    }
    for (const job of jobs) this.takeJob(job)
    if (this.messages.some((message) => message.state === "streaming" && !this.answers.has(message.id))) {
      this.refreshUnknown()
    }
  }

  private takeJob(job: Job): void {
    const id = job.message_id
    if (!id) return
    let answer = this.answers.get(id)
    if (answer?.job.id === job.id && answer.ended) return
    const before = answer?.job.id === job.id ? `${answer.job.state}${answer.job.phase}` : ""
    if (answer?.job.id === job.id) answer.take(job)
    else {
      if (!active(job)) return
      answer = new LiveAnswer(job, this.stored(id)?.content ?? "")
      this.answers.set(id, answer)
    }
    const now = `${job.state}${job.phase}`
    if (now !== before) {
      const key = job.state === "queued" ? "phase.queued" : job.phase === "generating" ? "live.started" : `phase.${job.phase}`
      this.say(this.text(key))
    }
    if (!this.stored(id)) this.refreshUnknown()
    this.tick()
    if (now !== before || job.text !== undefined) this.redraw(id)
    else this.views.get(id)?.drawStatus(performance.now())
  }

  private stored(id: string): Message | undefined {
    return this.messages.find((message) => message.id === id)
  }

  private anyLive(): boolean {
    for (const answer of this.answers.values()) if (!answer.ended) return true
    return false
  }

  private refresh(reason: string, wait = REFRESH_MS): void {
    clearTimeout(this.refreshTimer)
    this.refreshTimer = setTimeout(() => this.act({ type: "refresh", reason }), wait)
  }

  private refreshUnknown(): void {
    const now = performance.now()
    if (now - this.unknownAt < UNKNOWN_MS) return
    this.unknownAt = now
    this.refresh("unknown")
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
      view.update(message, this.answers.get(message.id) ?? null, index === this.messages.length - 1)
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

  private redraw(id: string): void {
    const index = this.messages.findIndex((message) => message.id === id)
    const message = this.messages[index]
    if (!message) return
    this.views.get(id)?.update(message, this.answers.get(id) ?? null, index === this.messages.length - 1)
    this.follower.keep()
    this.tick()
  }

  /** Draw growing answers soon, and never use more than a small part of the main thread for it. */
  private drawSoon(): void {
    if (this.frame !== undefined) return
    const rest = Math.max(SHORTEST_FRAME_MS, this.cost * (SHARE - 1))
    const wait = Math.max(0, this.drawnAt + rest - performance.now())
    this.frame = setTimeout(() => {
      this.frame = undefined
      const start = performance.now()
      for (const id of this.changed) {
        const view = this.views.get(id)
        view?.drawText()
        view?.drawStatus(start)
      }
      this.changed.clear()
      this.follower.keep()
      this.drawnAt = performance.now()
      this.cost = this.drawnAt - start
    }, wait)
  }

  private tick(): void {
    const live = this.anyLive()
    if (live && this.timer === undefined) {
      this.timer = setInterval(() => {
        const now = performance.now()
        for (const [id, answer] of this.answers) {
          if (answer.ended) continue
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

  private say(text: string): void {
    if (this.spoken.textContent !== text) this.spoken.textContent = text
  }

  private readonly keyed = (event: KeyboardEvent): void => {
    if (event.isComposing || event.defaultPrevented || this.options.shortcuts === false) return
    if (event.key === "Escape") {
      if (document.querySelector('[role="dialog"], [data-baseweb="popover"]')) return
      for (const [id, answer] of this.answers) {
        if (!answer.ended && !answer.queued) {
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

  private text(key: string): string {
    return this.texts[key] ?? key
  }
}

/** Whether Streamlit's page is dark, by the brightness of its background. */
function darkPage(element: HTMLElement): boolean {
  const colour = getComputedStyle(element).getPropertyValue("--st-background-color").trim()
  const hex = /^#([0-9a-f]{6}|[0-9a-f]{3})/i.exec(colour)?.[1]
  const parts = hex
    ? (hex.length === 3 ? [...hex].map((digit) => digit + digit) : (hex.match(/../g) ?? [])).map((pair) => parseInt(pair, 16))
    : (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number)
  if (parts.length < 3) return matchMedia("(prefers-color-scheme: dark)").matches
  return 0.299 * parts[0]! + 0.587 * parts[1]! + 0.114 * parts[2]! < 128
}
