// Keeps the newest text in view while the person is at the bottom, and only then.

const NEAR_PX = 72

export class Follower {
  private scroller: HTMLElement
  following = true
  private readonly observer: ResizeObserver
  private lastTop = 0

  constructor(
    private readonly root: HTMLElement,
    private readonly onChange: (following: boolean) => void,
  ) {
    this.scroller = findScroller(root)
    this.scroller.addEventListener("scroll", this.scrolled, { passive: true })
    this.scroller.addEventListener("wheel", this.wheeled, { passive: true })
    this.observer = new ResizeObserver(() => this.keep())
    this.observer.observe(root)
  }

  /** Scroll to the end when following; call after the content grew. */
  keep(): void {
    if (!this.following) return
    if (!this.scroller.isConnected) this.rebind()
    this.scroller.scrollTop = this.scroller.scrollHeight
  }

  jump(): void {
    this.follow(true)
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: calm ? "auto" : "smooth" })
  }

  follow(following: boolean): void {
    if (this.following === following) return
    this.following = following
    this.onChange(following)
  }

  /** Run `change` so that what is at the top of the window stays there (older messages come above it). */
  anchored(first: Element | null, change: () => void): void {
    if (!first || this.following) {
      change()
      this.keep()
      return
    }
    const before = first.getBoundingClientRect().top
    change()
    if (first.isConnected) this.scroller.scrollTop += first.getBoundingClientRect().top - before
  }

  close(): void {
    this.observer.disconnect()
    this.scroller.removeEventListener("scroll", this.scrolled)
    this.scroller.removeEventListener("wheel", this.wheeled)
  }

  private rebind(): void {
    this.close()
    this.scroller = findScroller(this.root)
    this.scroller.addEventListener("scroll", this.scrolled, { passive: true })
    this.scroller.addEventListener("wheel", this.wheeled, { passive: true })
    this.observer.observe(this.root)
  }

  private readonly scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller
    const up = scrollTop < this.lastTop - 2
    this.lastTop = scrollTop
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) this.follow(true)
    else if (up) this.follow(false)
  }

  private readonly wheeled = (event: WheelEvent): void => {
    if (event.deltaY < 0 && this.scroller.scrollHeight > this.scroller.clientHeight + NEAR_PX) this.follow(false)
  }
}

function findScroller(start: Node): HTMLElement {
  let node: Node | null = start
  while (node) {
    if (node instanceof HTMLElement && node !== document.body) {
      const overflow = getComputedStyle(node).overflowY
      if (overflow === "auto" || overflow === "scroll") return node
    }
    node = node.parentNode ?? (node instanceof ShadowRoot ? node.host : null)
  }
  return (document.scrollingElement ?? document.documentElement) as HTMLElement
}
