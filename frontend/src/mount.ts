// What every component does when Streamlit calls it: made once for its place, updated at each change.
import { dress } from "./page"
import type { Action } from "./types"

export interface Shown<Data> {
  send: (action: Action) => void
  update(data: Data): void
  close(): void
}

interface Arguments<Data> {
  data: Data
  parentElement: ShadowRoot | HTMLElement
  setTriggerValue: (name: string, value: unknown) => void
}

export function mounted<Data>(styles: string[], make: (parent: ShadowRoot | HTMLElement) => Shown<Data>) {
  const shown = new WeakMap<Node, Shown<Data>>()
  return ({ data, parentElement, setTriggerValue }: Arguments<Data>): (() => void) => {
    let view = shown.get(parentElement)
    if (!view) {
      dress(parentElement, styles)
      view = make(parentElement)
      shown.set(parentElement, view)
    }
    view.send = (action) => setTriggerValue("action", action)
    view.update(data)
    const current = view
    return () => {
      shown.delete(parentElement)
      current.close()
    }
  }
}
