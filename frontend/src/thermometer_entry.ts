// Entry point of the component "thermometer": the thermometer alone, for pages that explain it.
import { h } from "./dom"
import lensCss from "./lens.css"
import { mounted } from "./mount"
import { followTheme } from "./page"
import css from "./style.css"
import { Thermometer, type ThermometerData } from "./thermometer"
import type { Action } from "./types"

export * as sampling from "./sampling"
export * as outlook from "./outlook"

interface Data extends ThermometerData {
  texts: Record<string, string>
  options: { lang?: string }
}

class Alone {
  send: (action: Action) => void = () => undefined
  private readonly root = h("div", { class: "tk-root tk-lens" })
  private readonly thermometer = new Thermometer()

  constructor(parent: ShadowRoot | HTMLElement) {
    this.root.append(this.thermometer.element)
    parent.append(this.root)
  }

  update(data: Data): void {
    this.root.lang = data.options.lang === "zh" ? "zh-CN" : (data.options.lang ?? "en")
    followTheme(this.root)
    this.thermometer.words = (key) => data.texts[key] ?? key
    this.thermometer.show(data, data.options.lang ?? "en")
  }

  close(): void {
    this.root.remove()
  }
}

export default mounted<Data>([css, lensCss], (parent) => new Alone(parent))
