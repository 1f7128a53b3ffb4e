// Entry point: Streamlit calls the default export at every change of the data.
import katexCss from "virtual:katex-css"
import css from "./style.css"
import { Transcript } from "./transcript"
import type { Action, ComponentArgs } from "./types"

const shown = new WeakMap<Node, Transcript>()
let sheets: CSSStyleSheet[] | null = null

export default function transcript({ data, parentElement, setTriggerValue }: ComponentArgs): () => void {
  let view = shown.get(parentElement)
  if (!view) {
    dress(parentElement)
    view = new Transcript(parentElement)
    shown.set(parentElement, view)
  }
  view.send = (action: Action) => setTriggerValue("action", action)
  view.update(data)
  const current = view
  return () => {
    shown.delete(parentElement)
    current.close()
  }
}

function dress(parent: ShadowRoot | HTMLElement): void {
  sheets ??= [katexCss, css].map((text) => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(text)
    return sheet
  })
  const scope = parent instanceof ShadowRoot ? parent : document
  scope.adoptedStyleSheets = [...scope.adoptedStyleSheets, ...sheets]
}
