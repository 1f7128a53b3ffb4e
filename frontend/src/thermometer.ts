// The thermometer: how the next token's distribution looks at any temperature, and what top_k, top_p
// and min_p cut, drawn live from the probabilities before sampling. For one token, or as the average
// over an answer.
import { fill, h } from "./dom"
import { meanOutlook, outlook, type Cut, type Knobs } from "./outlook"
import { sum, type Order } from "./sampling"
import { percent, visible } from "./tokens"

const SHOWN = 12
const VOCABULARY = 151_936 // Qwen2.5; more than any other model here, and the bounds hold for fewer

/** One token's place: candidates as [text, log-probability], the likeliest first. */
export interface Place {
  candidates: [string, number][]
  /** Number of the candidate that was written; null when it is none of them. */
  written?: number | null
  /** What stands before it, as a reminder where we are. */
  before?: string
}

export interface ThermometerData {
  place?: Place | null
  /** Log-probabilities of the candidates of each token, for the average. */
  answer?: number[][]
  /** Where the sliders begin, and what "as it was" means. */
  knobs: Knobs
  /** What was on when the answer was written and is not reckoned with here: names with values. */
  not_drawn?: string[]
  vocabulary?: number | null
}

type Number_ = "temperature" | "top_k" | "top_p" | "min_p"

const SLIDERS: Record<Number_, { min: number; max: number; step: number; digits: number }> = {
  temperature: { min: 0, max: 2, step: 0.05, digits: 2 },
  top_k: { min: 0, max: 100, step: 1, digits: 0 },
  top_p: { min: 0.05, max: 1, step: 0.05, digits: 2 },
  min_p: { min: 0, max: 0.5, step: 0.01, digits: 2 },
}
const ORDERS: Order[] = ["llama.cpp", "transformers"]

interface Row {
  element: HTMLElement
  label: HTMLElement
  before: HTMLElement
  now: HTMLElement
  range: HTMLElement
  figure: HTMLElement
  note: HTMLElement
}

export class Thermometer {
  readonly element = h("div", { class: "tk-thermo" })
  words: (key: string) => string = (key) => key
  private data: ThermometerData | null = null
  private places: number[][] = []
  private knobs: Knobs = { temperature: 1, top_k: 0, top_p: 1, min_p: 0, order: "llama.cpp" }
  private began = ""
  private all = false
  private built = ""
  private readonly controls = h("div", { class: "tk-thermo-controls" })
  private readonly rows = h("div", { class: "tk-thermo-rows" })
  private readonly more = h("button", { type: "button", class: "tk-button tk-quiet", hidden: true })
  private readonly summary = h("p", { class: "tk-thermo-summary", "aria-live": "polite" })
  private readonly orders = h("p", { class: "tk-thermo-note" })
  private readonly notDrawn = h("p", { class: "tk-thermo-note tk-not-drawn", hidden: true })
  private readonly sliders = new Map<Number_, { input: HTMLInputElement; output: HTMLOutputElement }>()
  private readonly orderButtons = new Map<Order, HTMLElement>()
  private drawn: Row[] = []

  constructor() {
    this.more.addEventListener("click", () => {
      this.all = true
      this.draw()
    })
    this.element.append(this.controls, this.notDrawn, this.summary, this.rows, this.more, this.orders)
  }

  /** Show other data; the sliders keep their places unless the answer's own parameters changed. */
  show(data: ThermometerData, language: string): void {
    const began = JSON.stringify(data.knobs)
    if (began !== this.began) {
      this.began = began
      this.knobs = { ...data.knobs }
    }
    this.data = data
    this.places = (data.answer ?? []).filter((place) => place.length).map((place) => place.map(Math.exp))
    this.all = false
    if (this.built !== language) {
      this.built = language
      this.build()
    }
    this.draw()
  }

  private build(): void {
    this.sliders.clear()
    this.orderButtons.clear()
    const slider = (name: Number_) => {
      const { min, max, step } = SLIDERS[name]
      const input = h("input", { type: "range", min, max, step, "aria-label": this.words(`knob.${name}`), "data-knob": name }) as HTMLInputElement
      const output = h("output") as HTMLOutputElement
      input.addEventListener("input", () => {
        this.knobs[name] = Number(input.value)
        this.draw()
      })
      this.sliders.set(name, { input, output })
      return h("label", { class: `tk-knob tk-knob-${name}`, title: this.words(`knob.${name}.tip`) }, h("span", {}, this.words(`knob.${name}`)), output, input)
    }
    const order = h("div", { class: "tk-orders", role: "group", "aria-label": this.words("order") })
    for (const name of ORDERS) {
      const button = h("button", { type: "button", class: "tk-button", "data-order": name }, name)
      button.addEventListener("click", () => {
        this.knobs.order = name
        this.draw()
      })
      this.orderButtons.set(name, button)
      order.append(button)
    }
    const reset = h("button", { type: "button", class: "tk-button tk-quiet tk-reset" }, this.words("reset"))
    reset.addEventListener("click", () => {
      if (this.data) this.knobs = { ...this.data.knobs }
      this.draw()
    })
    this.controls.replaceChildren(
      slider("temperature"),
      h("div", { class: "tk-knobs" }, slider("top_k"), slider("top_p"), slider("min_p")),
      h("div", { class: "tk-order-row" }, h("span", {}, this.words("order")), order, reset),
    )
  }

  private draw(): void {
    if (!this.data) return
    for (const [name, { input, output }] of this.sliders) {
      const value = this.knobs[name]
      if (Number(input.max) < value) input.max = String(value)
      if (Number(input.value) !== value) input.value = String(value)
      output.textContent = isOff(name, value) ? this.words("off") : value.toFixed(SLIDERS[name].digits)
    }
    const also = this.data.not_drawn ?? []
    this.notDrawn.hidden = !also.length
    this.notDrawn.textContent = also.length ? fill(this.words("not_drawn"), { names: also.join(this.words("not_drawn.and")) }) : ""
    for (const [name, button] of this.orderButtons) button.setAttribute("aria-pressed", String(this.knobs.order === name))
    if (this.data.place) this.drawPlace(this.data.place)
    else this.drawMean()
  }

  private get vocabulary(): number {
    return this.data?.vocabulary ?? VOCABULARY
  }

  private drawPlace(place: Place): void {
    const probs = place.candidates.map(([, logprob]) => Math.exp(logprob))
    if (!probs.length) return
    const now = outlook(probs, this.knobs, this.vocabulary)
    const count = this.all ? probs.length : Math.min(probs.length, SHOWN)
    this.prepare(count + 1)
    for (let index = 0; index < count; index += 1) {
      const written = place.written === index
      this.fill(this.drawn[index]!, visible(place.candidates[index]![0]), probs[index]!, now.low[index]!, now.high[index]!, now.cut[index] ?? null, {
        mark: written ? this.words("written") : "",
      })
    }
    const rest = Math.max(0, 1 - sum(probs))
    const hidden = probs.slice(count)
    const hiddenLow = sum(now.low.slice(count))
    this.fill(
      this.drawn[count]!,
      hidden.length ? fill(this.words("rest_and"), { n: hidden.length }) : this.words("rest"),
      rest + sum(hidden),
      now.rest_low + hiddenLow,
      now.rest_high + sum(now.high.slice(count)),
      hidden.length ? null : now.rest_cut,
      { rest: true },
    )
    this.more.hidden = !hidden.length
    this.more.textContent = fill(this.words("show_all"), { n: probs.length })
    const alive = now.cut.filter((cut, index) => cut === null && now.high[index]! > 0).length
    const open = now.rest_high > 0
    this.summary.textContent = [
      fill(this.words(open ? "kept_open" : "kept"), { n: alive, of: probs.length }),
      now.sure ? "" : this.words("unsure"),
    ].join(" ").trim()
    this.drawOrders(probs)
  }

  /** The same parameters in the other order: why the order matters, with this token's own numbers. */
  private drawOrders(probs: number[]): void {
    const [llama, transformers] = ORDERS.map((order) => {
      const result = outlook(probs, { ...this.knobs, order }, this.vocabulary)
      return result.cut.filter((cut, index) => cut === null && result.high[index]! > 0).length
    })
    this.orders.textContent = `${this.words(`order.${this.knobs.order}`)} ${fill(this.words("order.counts"), { llama, transformers })}`
  }

  private drawMean(): void {
    const { places } = this
    if (!places.length) {
      this.prepare(0)
      this.summary.textContent = this.words("nothing")
      return
    }
    const mean = meanOutlook(places, this.knobs, this.vocabulary)
    this.prepare(mean.now.length + 1)
    mean.now.forEach((now, rank) => {
      const label = rank === 0 ? this.words("rank.first") : fill(this.words("rank"), { n: rank + 1 })
      this.fill(this.drawn[rank]!, label, mean.before[rank]!, now, now, null, {})
    })
    this.fill(this.drawn[mean.now.length]!, this.words("rest"), mean.rest_before, mean.rest_low, mean.rest_high, null, { rest: true })
    this.more.hidden = true
    this.summary.textContent = fill(this.words("mean"), {
      n: places.length,
      before: mean.choices_before.toFixed(1),
      now: mean.choices_now.toFixed(1),
    })
    this.orders.textContent = this.words(`order.${this.knobs.order}`)
  }

  private prepare(count: number): void {
    while (this.drawn.length > count) this.drawn.pop()?.element.remove()
    while (this.drawn.length < count) {
      const row = makeRow()
      this.drawn.push(row)
      this.rows.append(row.element)
    }
  }

  private fill(row: Row, label: string, before: number, low: number, high: number, cut: Cut | null, more: { mark?: string; rest?: boolean }): void {
    row.label.textContent = label
    row.label.title = label
    row.element.classList.toggle("tk-cut", cut !== null)
    row.element.classList.toggle("tk-rest", Boolean(more.rest))
    row.element.classList.toggle("tk-written", Boolean(more.mark))
    row.before.style.width = `${Math.min(1, before) * 100}%`
    row.now.style.width = `${Math.min(1, low) * 100}%`
    row.range.style.left = `${Math.min(1, low) * 100}%`
    row.range.style.width = `${Math.max(0, Math.min(1, high) - low) * 100}%`
    const figure = high - low < 0.0005 ? percent((low + high) / 2) : `${percent(low).replace(" %", "")}–${percent(high)}`
    row.figure.textContent = cut ? percent(before) : `${percent(before)} → ${figure}`
    row.note.textContent = cut ? fill(this.words("cut"), { by: cut }) : (more.mark ?? "")
  }
}

function makeRow(): Row {
  const label = h("span", { class: "tk-row-label" })
  const before = h("i", { class: "tk-row-before" })
  const now = h("i", { class: "tk-row-now" })
  const range = h("i", { class: "tk-row-range" })
  const figure = h("span", { class: "tk-row-figure" })
  const note = h("span", { class: "tk-row-note" })
  const bar = h("span", { class: "tk-row-bar", "aria-hidden": "true" }, before, now, range)
  return { element: h("div", { class: "tk-thermo-row" }, label, bar, figure, note), label, before, now, range, figure, note }
}

function isOff(name: Number_, value: number): boolean {
  return (name === "top_k" && value === 0) || (name === "top_p" && value >= 1) || (name === "min_p" && value === 0)
}
