// Keeps the newest text in view while the person is at the bottom, and only then.

const NEAR_PX = 72

export class Follower {
  private scroller: HTMLElement
  following = true
  private readonly observer: ResizeObserver
  private lastTop = 0
  private anchoring = false

  constructor(
    private readonly root: HTMLElement,
    private readonly onChange: (following: boolean) => void,
  ) {
    this.scroller = findScroller(root)
    this.observer = new ResizeObserver(() => this.keep())
    this.bind()
  }

  /** Scroll to the end when following; call after the content grew. */
  keep(): void {
    if (!this.following) return
    if (!this.scroller.isConnected) this.rebind()
    this.scroller.scrollTop = this.scroller.scrollHeight
  }

  jump(): void {
    this.follow(true)
    this.keep() // not smoothly: growing text would overtake the motion
  }

  /** Bring an element into view; what comes at the end follows only where that is in view as well. */
  lookAt(element: HTMLElement): void {
    this.follow(false)
    element.scrollIntoView({ block: "center" })
    const { scrollTop, scrollHeight, clientHeight } = this.scroller
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) this.follow(true)
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
    if (!first.isConnected) return
    this.anchoring = true
    this.scroller.scrollTop += first.getBoundingClientRect().top - before
    this.anchoring = false
  }

  close(): void {
    this.observer.disconnect()
    this.scroller.removeEventListener("scroll", this.scrolled)
    this.scroller.removeEventListener("wheel", this.wheeled)
    Reflect.deleteProperty(this.scroller, "scrollTop")
  }

  private bind(): void {
    this.scroller.addEventListener("scroll", this.scrolled, { passive: true })
    this.scroller.addEventListener("wheel", this.wheeled, { passive: true })
    this.observer.observe(this.root)
    this.guardPosition()
  }

  /**
   * Streamlit has a follower of its own for pages with a chat input, which pulls the page down again
   * although the person scrolled up, as long as the content grows. While the person reads elsewhere,
   * scripts may move the page up but not down.
   */
  private guardPosition(): void {
    const native = Object.getOwnPropertyDescriptor(Element.prototype, "scrollTop")
    if (!native?.get || !native.set) return
    const { get, set } = native
    const { scroller } = this
    Object.defineProperty(scroller, "scrollTop", {
      configurable: true,
      get: () => get.call(scroller) as number,
      set: (top: number) => {
        if (this.following || this.anchoring || top < get.call(scroller)) set.call(scroller, top)
      },
    })
  }

  private rebind(): void {
    this.close()
    this.scroller = findScroller(this.root)
    this.bind()
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
