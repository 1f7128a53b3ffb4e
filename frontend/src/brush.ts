// When growing answers are drawn: soon, and never with more than a small part of the main thread.

const SHORTEST_FRAME_MS = 60
const SHARE = 9 // one part drawing, eight parts rest

export class Brush {
  private readonly waiting = new Set<string>()
  private frame: ReturnType<typeof setTimeout> | undefined
  private drawnAt = 0
  private cost = 0

  constructor(private readonly draw: (ids: Iterable<string>, now: number) => void) {}

  soon(id: string): void {
    this.waiting.add(id)
    if (this.frame !== undefined) return
    const rest = Math.max(SHORTEST_FRAME_MS, this.cost * (SHARE - 1))
    const wait = Math.max(0, this.drawnAt + rest - performance.now())
    this.frame = setTimeout(() => {
      this.frame = undefined
      const start = performance.now()
      const ids = [...this.waiting]
      this.waiting.clear()
      this.draw(ids, start)
      this.drawnAt = performance.now()
      this.cost = this.drawnAt - start
    }, wait)
  }

  close(): void {
    clearTimeout(this.frame)
  }
}
