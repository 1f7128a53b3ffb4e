// An answer with every token coloured by its probability. Pointing shows the alternatives, choosing a
// token (click, tap, arrow keys) opens them with the thermometer of that place.
import { fill, h } from "./dom"
import { followTheme } from "./page"
import { Thermometer } from "./thermometer"
import { percent, visible } from "./tokens"
import type { Knobs } from "./outlook"
import type { Action } from "./types"

/** [text, token id, log-probability] */
export type Candidate = [string, number, number]
/** [text, token id, log-probability, candidates] */
export type Token = [string, number, number, Candidate[]]

export interface LensData {
  tokens: Token[]
  /** More candidates of single places, asked of the engine, by token number. */
  wider: Record<string, Candidate[]>
  knobs: Knobs
  not_drawn?: string[]
  vocabulary?: number | null
  texts: Record<string, string>
  options: { lang?: string; fork?: boolean; widen?: boolean }
}

export interface LensAction extends Action {
  token?: number
  candidate?: number
}

const LEVELS = [0.9, 0.7, 0.5, 0.3, 0.15, 0.05]
const HELD_MS = 8000

export class Heatmap {
  send: (action: LensAction) => void = () => undefined
  private readonly root = h("div", { class: "tk-root tk-lens" })
  private readonly legend = h("div", { class: "tk-legend" })
  private readonly text = h("div", { class: "tk-heat", tabindex: "0", role: "application" })
  private readonly panel = h("aside", { class: "tk-lens-panel" })
  private readonly switch_ = h("div", { class: "tk-orders", role: "group" })
  private readonly choices = h("div", { class: "tk-choices" })
  private readonly tip = h("div", { class: "tk-tip", hidden: true, role: "presentation" })
  private readonly spoken = h("div", { class: "tk-spoken", role: "status", "aria-live": "polite" })
  private readonly thermometer = new Thermometer()
  private data: LensData | null = null
  private signature = ""
  private spans: (HTMLElement | null)[] = []
  private chosen: number | null = null
  private average = false
  private asked: { token: number; at: number } | null = null

  constructor(parent: ShadowRoot | HTMLElement) {
    this.panel.append(this.switch_, this.choices, this.thermometer.element)
    this.root.append(this.legend, h("div", { class: "tk-lens-body" }, this.text, this.panel), this.tip, this.spoken)
    parent.append(this.root)
    this.thermometer.words = (key) => this.words(key)
    this.text.addEventListener("click", (event) => {
      this.tip.hidden = true
      this.choose(tokenOf(event.target))
    })
    this.text.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") this.point(tokenOf(event.target))
    })
    this.text.addEventListener("pointerleave", () => (this.tip.hidden = true))
    this.text.addEventListener("keydown", this.keyed)
    this.text.addEventListener("focus", () => {
      if (this.chosen === null) this.choose(this.next(-1, 1))
    })
    this.choices.addEventListener("click", this.clicked)
    this.choices.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation()
        this.text.focus()
      }
    })
  }

  update(data: LensData): void {
    this.data = data
    this.root.lang = data.options.lang === "zh" ? "zh-CN" : (data.options.lang ?? "en")
    followTheme(this.root)
    const signature = JSON.stringify([data.tokens.length, data.tokens[0], data.tokens.at(-1), data.tokens.map((token) => token[1])])
    if (signature !== this.signature) {
      this.signature = signature
      this.chosen = null
      this.drawText(data.tokens)
    }
    if (this.asked && data.wider[this.asked.token]) this.asked = null
    this.text.setAttribute("aria-label", this.words("keys"))
    this.drawLegend()
    this.drawPanel()
  }

  close(): void {
    this.root.remove()
  }

  // ---- the text -----------------------------------------------------------------------------

  private drawText(tokens: Token[]): void {
    this.spans = new Array<HTMLElement | null>(tokens.length).fill(null)
    const blocks: HTMLElement[] = []
    let block: HTMLElement | null = null
    tokens.forEach(([text, , logprob], index) => {
      if (text === "") return // a piece of a character: the token that completes it shows it
      if (!block) {
        block = h("div", { class: "tk-heat-block" })
        blocks.push(block)
      }
      const span = document.createElement("span")
      span.className = `tk-p${level(Math.exp(logprob))}`
      span.dataset.token = String(index)
      span.id = `token-${index}`
      const parts = text.split("\n")
      span.textContent = parts.length > 1 ? parts.join("⏎").replace(/⏎+$/, (ends) => ends) : text
      this.spans[index] = span
      block.append(span)
      if (parts.length > 1) block = null
    })
    this.text.replaceChildren(...blocks)
  }

  private drawLegend(): void {
    const scale = h("span", { class: "tk-scale", "aria-hidden": "true" })
    for (let i = 0; i <= LEVELS.length; i += 1) scale.append(h("i", { class: `tk-p${i}` }))
    this.legend.replaceChildren(h("span", {}, this.words("legend.sure")), scale, h("span", {}, this.words("legend.unsure")), h("span", { class: "tk-hint" }, this.words("hint")))
  }

  private point(index: number | null): void {
    const token = index === null ? undefined : this.data?.tokens[index]
    const span = index === null ? null : this.spans[index]
    if (!token || !span) {
      this.tip.hidden = true
      return
    }
    const list = h("ol", {})
    for (const [text, , logprob] of token[3].slice(0, 5)) {
      list.append(h("li", { class: text === token[0] ? "tk-mine" : "" }, h("b", {}, visible(text)), h("span", {}, percent(Math.exp(logprob)))))
    }
    this.tip.replaceChildren(h("div", {}, h("b", {}, visible(token[0])), h("span", {}, percent(Math.exp(token[2])))), list)
    this.tip.hidden = false
    const at = span.getClientRects()[0] ?? span.getBoundingClientRect()
    const home = this.root.getBoundingClientRect()
    const left = Math.min(Math.max(0, at.left - home.left), Math.max(0, home.width - this.tip.offsetWidth))
    this.tip.style.left = `${left}px`
    this.tip.style.top = `${at.bottom - home.top + 4}px`
  }

  private choose(index: number | null): void {
    if (index === null || !this.data) return
    if (this.chosen !== null) this.spans[this.chosen]?.classList.remove("tk-chosen")
    this.chosen = index
    this.average = false
    const span = this.spans[index]
    span?.classList.add("tk-chosen")
    span?.scrollIntoView({ block: "nearest" })
    this.text.setAttribute("aria-activedescendant", `token-${index}`)
    const token = this.data.tokens[index]!
    const others = token[3].slice(0, 3).map(([text, , logprob]) => `${text} ${percent(Math.exp(logprob))}`)
    this.spoken.textContent = fill(this.words("spoken"), { token: token[0], p: percent(Math.exp(token[2])), others: others.join(", ") })
    this.drawPanel()
  }

  private next(from: number, step: number): number | null {
    for (let i = from + step; i >= 0 && i < this.spans.length; i += step) if (this.spans[i]) return i
    return null
  }

  /** The token above or below, as the eye sees it. */
  private vertical(from: number, step: number): number | null {
    const start = this.spans[from]?.getClientRects()[0]
    if (!start) return null
    let best: number | null = null
    let bestLine = 0
    let bestGap = Infinity
    for (let i = from + step; i >= 0 && i < this.spans.length; i += step) {
      const box = this.spans[i]?.getClientRects()[0]
      if (!box || Math.abs(box.top - start.top) < 4) continue
      if (best !== null && Math.abs(box.top - bestLine) > 4) break
      const gap = Math.abs(box.left - start.left)
      if (gap < bestGap) [best, bestLine, bestGap] = [i, box.top, gap]
    }
    return best
  }

  private readonly keyed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const from = this.chosen ?? -1
    const moves: Record<string, () => number | null> = {
      ArrowRight: () => this.next(from, 1),
      ArrowLeft: () => this.next(from, -1),
      ArrowDown: () => this.vertical(from, 1),
      ArrowUp: () => this.vertical(from, -1),
      Home: () => this.next(-1, 1),
      End: () => this.next(this.spans.length, -1),
    }
    if (event.key === "Enter") this.choices.querySelector("button")?.focus()
    else if (moves[event.key]) this.choose(moves[event.key]!())
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  // ---- the panel ----------------------------------------------------------------------------

  private drawPanel(): void {
    if (!this.data) return
    const index = this.average ? null : this.chosen
    const button = (name: string, pressed: boolean, act: () => void, disabled = false) => {
      const made = h("button", { type: "button", class: "tk-button", "aria-pressed": String(pressed), disabled }, this.words(name))
      made.addEventListener("click", act)
      return made
    }
    this.switch_.setAttribute("aria-label", this.words("what"))
    this.switch_.replaceChildren(
      button("what.token", index !== null, () => {
        this.average = false
        if (this.chosen === null) this.choose(this.next(-1, 1))
        this.drawPanel()
      }),
      button("what.answer", index === null, () => {
        this.average = true
        this.drawPanel()
      }),
    )
    if (index === null) this.choices.replaceChildren(h("p", { class: "tk-thermo-note" }, this.words("answer_note")))
    else this.drawChoices(index)
    this.drawThermometer(index)
  }

  private candidates(index: number): Candidate[] {
    return this.data?.wider[index] ?? this.data?.tokens[index]?.[3] ?? []
  }

  private drawChoices(index: number): void {
    const { data } = this
    const token = data?.tokens[index]
    if (!data || !token) return
    const before = data.tokens.slice(Math.max(0, index - 8), index).map(([text]) => text).join("")
    const place = h("p", { class: "tk-place" }, h("span", {}, `…${before.replace(/\n/g, "⏎")}`), h("mark", {}, visible(token[0])), h("b", {}, percent(Math.exp(token[2]))))
    const list = h("div", { class: "tk-choice-list" })
    if (data.options.fork) {
      for (const [text, id] of token[3]) {
        if (id === token[1] || text === "" || text.startsWith("<0x")) continue
        list.append(h("button", { type: "button", class: "tk-button", "data-candidate": id, title: this.words("fork_tip") }, visible(text)))
      }
    }
    this.choices.replaceChildren(place)
    if (list.childElementCount) this.choices.append(h("p", { class: "tk-thermo-note" }, this.words("fork")), list)
    if (data.options.widen && !data.wider[index]) {
      const waiting = this.asked?.token === index && performance.now() - this.asked.at < HELD_MS
      const wide = h("button", { type: "button", class: "tk-button tk-quiet", "data-widen": index, disabled: waiting, title: this.words("widen_tip") }, this.words(waiting ? "widening" : "widen"))
      this.choices.append(wide)
    }
  }

  private drawThermometer(index: number | null): void {
    const { data } = this
    if (!data) return
    const { knobs, not_drawn, vocabulary } = data
    const language = data.options.lang ?? "en"
    if (index === null) {
      const answer = data.tokens.map((token) => token[3].map((candidate) => candidate[2]))
      this.thermometer.show({ answer, knobs, not_drawn, vocabulary }, language)
      return
    }
    const candidates = this.candidates(index)
    const own = data.tokens[index]!
    const written = candidates.findIndex((candidate) => candidate[1] === own[1])
    const place = { candidates: candidates.map(([text, , logprob]) => [text, logprob] as [string, number]), written: written < 0 ? null : written }
    this.thermometer.show({ place, knobs, not_drawn, vocabulary }, language)
  }

  private readonly clicked = (event: Event): void => {
    const button = (event.target as Element).closest("button")
    if (!(button instanceof HTMLElement) || this.chosen === null) return
    const { candidate, widen } = button.dataset
    if (candidate !== undefined) this.send({ type: "fork", token: this.chosen, candidate: Number(candidate) })
    else if (widen !== undefined) {
      this.asked = { token: this.chosen, at: performance.now() }
      this.send({ type: "widen", token: this.chosen })
      this.drawPanel()
    }
  }

  private words(key: string): string {
    return this.data?.texts[key] ?? key
  }
}

function level(p: number): number {
  const index = LEVELS.findIndex((limit) => p >= limit)
  return index < 0 ? LEVELS.length : index
}

function tokenOf(target: EventTarget | null): number | null {
  const index = target instanceof Element ? target.closest<HTMLElement>("[data-token]")?.dataset.token : undefined
  return index === undefined ? null : Number(index)
}
