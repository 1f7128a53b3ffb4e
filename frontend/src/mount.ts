// What every component does when Streamlit calls it: made once for its place, updated at each change.
import { dress } from "./page"
import type { Action } from "./types"

export interface Shown<Data> {
  send: (action: Action) => void
  update(data: Data): void
  close(): void
}

interface Acted {
  /** Which mount's actions Python has taken last, and up to which number. */
  acted?: { mount: string; number: number } | null
}

interface Arguments<Data> {
  /** One value in a list: see draw_component in web/component. */
  data: [Data & Acted]
  parentElement: ShadowRoot | HTMLElement
  setTriggerValue: (name: string, value: unknown) => void
}

/**
 * Actions on their way to Python. Streamlit keeps only a component's latest trigger when two meet before
 * the script runs, so each one carries all that Python has not said it took.
 */
class Outbox {
  private readonly mount = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`
  private waiting: { number: number; action: Action }[] = []
  private number = 0

  add(action: Action): unknown {
    this.number += 1
    this.waiting.push({ number: this.number, action })
    return { mount: this.mount, waiting: this.waiting }
  }

  taken(acted: Acted["acted"]): void {
    if (acted?.mount === this.mount) this.waiting = this.waiting.filter((action) => action.number > acted.number)
  }
}

export function mounted<Data>(styles: string[], make: (parent: ShadowRoot | HTMLElement) => Shown<Data>) {
  const shown = new WeakMap<Node, { view: Shown<Data>; outbox: Outbox }>()
  return ({ data: [data], parentElement, setTriggerValue }: Arguments<Data>): (() => void) => {
    let current = shown.get(parentElement)
    if (!current) {
      dress(parentElement, styles)
      current = { view: make(parentElement), outbox: new Outbox() }
      shown.set(parentElement, current)
    }
    const { view, outbox } = current
    outbox.taken(data.acted)
    view.send = (action) => setTriggerValue("action", outbox.add(action))
    view.update(data)
    return () => {
      shown.delete(parentElement)
      view.close()
    }
  }
}
