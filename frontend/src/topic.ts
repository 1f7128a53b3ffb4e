// The live answers of one topic: what the WebSocket told, by message. Knows nothing of drawing;
// whoever shows the answers is told what to draw again.
import { LiveAnswer, active } from "./answer"
import { fill } from "./dom"
import { LiveConnection } from "./live"
import type { Action, Job, LiveEvent, Message } from "./types"

const REFRESH_MS = 60
const UNKNOWN_MS = 1500
const MOST_ASKED = 5

export interface Audience {
  /** The stored messages as Python gave them last. */
  readonly messages: Message[]
  act(action: Action): void
  /** Everything of a message may have changed. */
  redraw(id: string): void
  /** Only text was added. */
  grew(id: string): void
  /** Only the status line changed. */
  status(id: string): void
  connected(connected: boolean): void
  say(text: string): void
  words(key: string): string
}

export class LiveTopic {
  private readonly answers = new Map<string, LiveAnswer>() // by message id
  private connection: LiveConnection | null = null
  private name = ""
  private timer: ReturnType<typeof setTimeout> | undefined
  private unknownAt = 0

  constructor(private readonly audience: Audience) {}

  get(id: string): LiveAnswer | null {
    return this.answers.get(id) ?? null
  }

  *live(): Iterable<[string, LiveAnswer]> {
    for (const entry of this.answers) if (!entry[1].ended) yield entry
  }

  get anyLive(): boolean {
    for (const _ of this.live()) return true
    return false
  }

  /** Listen to another topic. False when it is the one listened to already. */
  listen(topic: string): boolean {
    if (topic === this.name) return false
    this.connection?.close()
    this.connection = null
    this.name = topic
    this.answers.clear()
    if (topic) {
      this.connection = new LiveConnection(topic, this.hear, (connected) => this.audience.connected(connected))
    }
    return true
  }

  /** Python gave newer stored messages: live answers that are stored by now are dropped. */
  stored(messages: Message[]): void {
    for (const message of messages) {
      const answer = this.answers.get(message.id)
      if (!answer?.ended) continue
      if (message.state !== "streaming" && message.state !== "queued") this.answers.delete(message.id)
      else if (answer.asked < MOST_ASKED) {
        answer.asked += 1 // Python read just before the end was stored
        this.refresh("done", 400 * answer.asked)
      }
    }
  }

  stop(id: string): void {
    const answer = this.answers.get(id)
    if (!answer || answer.ended || answer.stopping) return
    const queued = answer.queued
    answer.stopping = true
    this.audience.redraw(id)
    const action = { type: queued ? "cancel" : "stop", message: id, job: answer.job.id }
    void this.connection?.stop(answer.job.id).then((stopped) => {
      if (!stopped || queued) this.audience.act(action)
    })
  }

  close(): void {
    this.connection?.close()
    clearTimeout(this.timer)
  }

  private readonly hear = (events: LiveEvent[]): void => {
    for (const event of events) this.hearOne(event)
  }

  private hearOne(event: LiveEvent): void {
    if (event.type === "snapshot") this.takeSnapshot(event.jobs)
    else if (event.type === "job") this.takeJob(event.job)
    else if (event.type === "delta") {
      const answer = this.answers.get(event.message)
      if (answer?.job.id !== event.job || !answer.add(event)) this.connection?.send({ type: "sync" })
      else this.audience.grew(event.message)
    } else if (event.type === "guard") {
      const answer = this.answers.get(event.message)
      if (answer) answer.guard = [...answer.guard, event.event]
      this.audience.redraw(event.message)
    } else if (event.type === "decay") {
      const answer = this.answers.get(event.message)
      if (answer) answer.decay = event.decay
      this.audience.redraw(event.message)
    } else if (event.type === "notice") {
      const answer = this.answers.get(event.message)
      if (answer) answer.unsaved = event.error !== null
      this.audience.redraw(event.message)
    } else if (event.type === "done") {
      const answer = this.answers.get(event.message)
      if (answer && answer.job.id === event.job) {
        answer.finished(event)
        const reason = this.audience.words(`finish.${event.finish_reason ?? "stop"}`)
        this.audience.say(fill(this.audience.words("live.done"), { reason }))
        this.audience.redraw(event.message)
      }
      this.refresh("done")
    } else if (event.type === "changed") this.refresh("changed")
  }

  private takeSnapshot(jobs: Job[]): void {
    const current = new Set(jobs.map((job) => job.id))
    for (const [id, answer] of this.answers) {
      if (!answer.ended && !current.has(answer.job.id)) {
        answer.end(answer.finish) // it ended while we were away; the stored message tells how
        this.audience.redraw(id)
        this.refresh("done")
      }
    }
    for (const job of jobs) this.takeJob(job)
    if (this.audience.messages.some((message) => message.state === "streaming" && !this.answers.has(message.id))) {
      this.refreshUnknown()
    }
  }

  private takeJob(job: Job): void {
    const id = job.message_id
    if (!id) return
    const known = this.audience.messages.find((message) => message.id === id)
    let answer = this.answers.get(id)
    if (answer?.job.id === job.id && answer.ended) return
    const before = answer?.job.id === job.id ? `${answer.job.state}${answer.job.phase}` : ""
    if (answer?.job.id === job.id) answer.take(job)
    else {
      if (!active(job)) return
      answer = new LiveAnswer(job, known?.content ?? "")
      this.answers.set(id, answer)
    }
    const now = `${job.state}${job.phase}`
    if (now !== before) {
      const key = job.state === "queued" ? "phase.queued" : job.phase === "generating" ? "live.started" : `phase.${job.phase}`
      this.audience.say(this.audience.words(key))
    }
    if (!known) this.refreshUnknown()
    if (now !== before || job.text !== undefined) this.audience.redraw(id)
    else this.audience.status(id)
  }

  private refresh(reason: string, wait = REFRESH_MS): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.audience.act({ type: "refresh", reason }), wait)
  }

  private refreshUnknown(): void {
    const now = performance.now()
    if (now - this.unknownAt < UNKNOWN_MS) return
    this.unknownAt = now
    this.refresh("unknown")
  }
}
