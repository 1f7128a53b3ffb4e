// The text of one live answer as this browser knows it, put together from snapshots and deltas.
import type { Decay, ErrorInfo, Guard, Job, LiveEvent, Timings, Usage } from "./types"

const STALL_S = 2
const OWN_PACE = 4 // a stall is also this many times the answer's own usual gap

type Delta = Extract<LiveEvent, { type: "delta" }>
type Done = Extract<LiveEvent, { type: "done" }>

export class LiveAnswer {
  text: string
  private points: number // Python counts code points, this language UTF-16 units
  tokens = 0
  probs: unknown[] = []
  guard: Guard[] = []
  decay: Decay | null = null
  ended = false
  stopping = false
  asked = 0 // how often Python was asked for the stored end
  unsaved = false
  finish: string | null = null
  usage: Usage | null = null
  timings: Timings | null = null
  error: ErrorInfo | null = null
  firstAt = 0 // performance.now() of the first token this browser saw
  lastAt = 0
  private firstTokens = 0

  constructor(
    public job: Job,
    known: string,
  ) {
    this.text = job.text ?? known
    this.points = codePoints(this.text)
    this.take(job)
  }

  /** Take over a job's state; a snapshot brings the whole text. */
  take(job: Job): void {
    if (job.text !== undefined && job.text !== this.text) {
      this.text = job.text
      this.points = codePoints(job.text)
    }
    this.job = { ...job, text: undefined }
    this.tokens = Math.max(this.tokens, job.token_count)
    this.guard = job.guard
    this.decay = job.decay ?? null
    this.unsaved = Boolean(job.unsaved)
    this.error = job.error
    const now = performance.now()
    if (job.phase === "generating" && !this.firstAt) this.begin(now, job.token_count)
    if (job.stalled_s > 0 && now - this.lastAt < job.stalled_s * 1000) this.lastAt = now - job.stalled_s * 1000
    if (!active(job)) this.end(job.finish_reason)
  }

  /** Add new text. False when text before it is missing here: a snapshot is needed. */
  add(delta: Delta): boolean {
    if (delta.at > this.points) return false
    if (delta.at < this.points) {
      this.text = [...this.text].slice(0, delta.at).join("")
      this.points = delta.at
    }
    this.text += delta.text
    this.points += codePoints(delta.text)
    const now = performance.now()
    if (!this.firstAt) this.begin(now, Math.max(0, delta.n - 1))
    this.lastAt = now
    this.tokens = delta.n
    if (delta.probs) this.probs.push(...delta.probs)
    this.job.phase = "generating"
    this.job.stalled_s = 0
    return true
  }

  finished(done: Done): void {
    if (done.chars !== undefined && done.chars < this.points) {
      this.text = [...this.text].slice(0, done.chars).join("")
      this.points = done.chars
    }
    this.usage = done.usage
    this.timings = done.timings
    this.error = done.error
    this.end(done.finish_reason)
  }

  end(finish: string | null): void {
    this.ended = true
    this.finish = finish
  }

  get queued(): boolean {
    return !this.ended && this.job.state === "queued"
  }

  get waiting(): boolean {
    return !this.ended && this.job.phase !== "generating"
  }

  /** Seconds without a token, when that is long enough to be said and the person wants to hear of it. */
  stalledSeconds(now: number): number {
    if (this.ended || this.waiting || !this.lastAt || this.job.tells_stalls === false) return 0
    const gap = (now - this.lastAt) / 1000
    const pace = this.job.tok_per_s
    return this.job.stalled_s > 0 || gap > (pace ? Math.max(STALL_S, OWN_PACE / pace) : STALL_S) ? gap : 0
  }

  speed(now: number): number | null {
    if (this.job.tok_per_s) return this.job.tok_per_s
    const seconds = (Math.max(this.lastAt, this.firstAt) - this.firstAt) / 1000
    return seconds > 0.5 && now > 0 ? (this.tokens - this.firstTokens) / seconds : null
  }

  private begin(now: number, tokens: number): void {
    this.firstAt = this.lastAt = now
    this.firstTokens = tokens
  }
}

export function active(job: Job): boolean {
  return job.state === "queued" || job.state === "running"
}

function codePoints(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdbff || !isLow(text.charCodeAt(i + 1))) count += 1
    else {
      count += 1
      i += 1
    }
  }
  return count
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}
