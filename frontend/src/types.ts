// What comes from Python, over the WebSocket, and goes back. The Python side documents the fields
// in web/component/__init__.py and core/jobs.py.

export interface Guard {
  kind: string
  level: "note" | "warn" | "stop"
  at_token: number
  at_char: number
  data?: Record<string, unknown>
}

/** rows: [at_char, repeated share, new share, padding phrases]; characters are code points */
export interface Decay {
  series: [number, number, number, number][]
  downhill_at?: number | null
}

export interface Change {
  name: string
  before: number | null
  after: number
}

export interface Usage {
  prompt_tokens?: number | null
  completion_tokens?: number | null
  cached_tokens?: number | null
}

export interface Timings {
  ttft_s?: number | null
  total_s?: number | null
  decode_s?: number | null
  tok_per_s?: number | null
}

export interface ErrorInfo {
  code?: string
  message?: string
  hint?: string
}

export type MessageState = "queued" | "streaming" | "done" | "interrupted" | "failed"

export interface Message {
  id: string
  role: "user" | "assistant"
  content: string
  state?: MessageState
  finish_reason?: string | null
  version?: number
  versions?: number
  excluded?: boolean
  job?: string | null
  usage?: Usage | null
  timings?: Timings | null
  max_new_tokens?: number | null
  context?: number | null
  error?: ErrorInfo | null
  recover?: boolean
  ways?: boolean // it did not fit: the banner offers what can be done
  unanswered?: boolean
  guard?: Guard[]
  decay?: Decay | null
  removed?: string[]
  changed?: Change[]
  cut_at?: number | null // where it can be cut, as it went downhill after
  cut_back?: boolean // a person cut it so
  tags?: string[]
  files?: { name: string; note: string }[] // the documents before a question
  structured?: Structured | null
  probs?: unknown[]
}

/** An answer that was asked for in a form. */
export interface Structured {
  columns?: string[] | null // of the table that was asked for; null: it was something else
  verdict?: { state: "valid" | "invalid" | "cut"; text: string } | null
  cut?: string | null // what its banner says when it was cut
  files?: string[] // how it can be downloaded
  gather?: boolean // other answers of the conversation have rows too
}

export interface Job {
  id: string
  topic: string
  message_id: string | null
  state: "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted"
  phase: "queued" | "starting" | "loading" | "prompt" | "generating" | null
  progress: number | null
  text?: string
  chars?: number
  token_count: number
  prompt_tokens: number | null
  cached_tokens: number | null
  started_at: number | null
  ttft_s: number | null
  tok_per_s: number | null
  stalled_s: number
  tells_stalls?: boolean
  finish_reason: string | null
  error: ErrorInfo | null
  guard: Guard[]
  decay?: Decay | null
  unsaved?: boolean
}

export type LiveEvent =
  | { type: "snapshot"; jobs: Job[] }
  | { type: "job"; job: Job }
  | { type: "delta"; job: string; message: string; at: number; text: string; n: number; probs?: unknown[] }
  | { type: "guard"; job: string; message: string; event: Guard }
  | { type: "decay"; job: string; message: string; decay: Decay }
  | { type: "notice"; job: string; message: string; error: ErrorInfo | null }
  | {
      type: "done"
      job: string
      message: string
      state: Job["state"]
      finish_reason: string | null
      usage: Usage
      timings: Timings
      error: ErrorInfo | null
      chars?: number
    }
  | { type: "changed" }
  | { type: "ping" }

/** A place in the conversation above which the model's state was cleared; summary: what it reads instead. */
export interface Reset {
  after: string
  kept: boolean
  summary?: string
}

export interface Options {
  lang?: string
  earlier?: number
  resets?: Reset[]
  found?: { message: string; words: string[]; token: string } | null
  max_width?: string
  actions?: { user?: string[]; assistant?: string[] }
  shortcuts?: boolean
}

export interface Data {
  messages: Message[]
  topic: string
  texts: Record<string, string>
  options: Options
}

export interface Action {
  type: string
  message?: string
  job?: string
  text?: string
  step?: number
  version?: number
  reason?: string
}

export interface ComponentArgs {
  data: Data
  key: string
  parentElement: ShadowRoot | HTMLElement
  setTriggerValue: (name: string, value: unknown) => void
}
