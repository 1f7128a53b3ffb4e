// The WebSocket to /twokeys/live: reconnects with growing waits, asks for a snapshot when text is
// missing, and can stop a job without asking Streamlit.
import type { LiveEvent } from "./types"

const FIRST_WAIT_MS = 300
const LONGEST_WAIT_MS = 10_000
const SILENCE_MS = 45_000

/** Where our routes are: beside the pages, below a path of their own where a proxy gives them one. */
export function home(): URL {
  return new URL("./twokeys/", location.href)
}

export class LiveConnection {
  private socket: WebSocket | null = null
  private wait = FIRST_WAIT_MS
  private timer: ReturnType<typeof setTimeout> | undefined
  private watchdog: ReturnType<typeof setTimeout> | undefined
  private closed = false
  connected = false

  constructor(
    private readonly topic: string,
    private readonly onEvents: (events: LiveEvent[]) => void,
    private readonly onState: (connected: boolean) => void,
  ) {
    this.open()
    addEventListener("online", this.retryNow)
    document.addEventListener("visibilitychange", this.retryNow)
  }

  send(message: { type: string; job?: string }): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false
    this.socket.send(JSON.stringify(message))
    return true
  }

  /** Stop a job at once, over the socket or, when it is down, over HTTP. False when neither works. */
  async stop(job: string): Promise<boolean> {
    if (this.send({ type: "stop", job })) return true
    try {
      const answer = await fetch(new URL(`jobs/${encodeURIComponent(job)}/stop`, home()), { method: "POST" })
      return answer.ok
    } catch {
      return false
    }
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    clearTimeout(this.watchdog)
    removeEventListener("online", this.retryNow)
    document.removeEventListener("visibilitychange", this.retryNow)
    this.socket?.close()
    this.socket = null
  }

  private readonly retryNow = (): void => {
    if (this.closed || this.socket || document.visibilityState === "hidden") return
    clearTimeout(this.timer)
    this.wait = FIRST_WAIT_MS
    this.open()
  }

  private open(): void {
    const address = new URL(`live?topic=${encodeURIComponent(this.topic)}`, home())
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:"
    const socket = new WebSocket(address)
    this.socket = socket
    socket.onmessage = (message) => {
      if (socket !== this.socket) return
      this.listen()
      if (!this.connected) {
        this.connected = true
        this.wait = FIRST_WAIT_MS
        this.onState(true)
      }
      this.onEvents(JSON.parse(message.data as string) as LiveEvent[])
    }
    socket.onclose = () => this.lost(socket)
    this.listen()
  }

  private lost(socket: WebSocket): void {
    if (socket !== this.socket) return
    this.socket = null
    clearTimeout(this.watchdog)
    if (this.closed) return
    if (this.connected) {
      this.connected = false
      this.onState(false)
    }
    this.timer = setTimeout(() => this.open(), this.wait * (0.75 + Math.random() / 2))
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS)
  }

  private listen(): void {
    clearTimeout(this.watchdog)
    const socket = this.socket
    this.watchdog = setTimeout(() => {
      // after a laptop slept the socket looks open and will never say anything again
      socket?.close()
      if (socket) this.lost(socket)
    }, SILENCE_MS)
  }
}

