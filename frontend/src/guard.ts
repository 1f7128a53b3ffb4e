// What the guard says: the words of its events, its chips, the decay line, what was cut off, what was
// changed. The words come from Python's catalogue (guard.*), filled in as core/guard/wording.py does.
import { fill, h } from "./dom"
import { icon } from "./icons"
import type { Change, Decay, Guard } from "./types"

type Texts = Record<string, string>

const RANK = { note: 0, warn: 1, stop: 2 }
const WIDTH = 240
const HEIGHT = 28

export interface GuardText {
  title: string
  detail: string
  next: string
}

export function describe(event: Guard, texts: Texts): GuardText {
  const key = `guard.${event.kind}.${variant(event)}`
  const values = valuesOf(event.data ?? {}, texts)
  const say = (part: string) => fill(texts[`${key}.${part}`] ?? "", values)
  return { title: say("title") || event.kind, detail: say("detail"), next: say("next") }
}

export function describeChanges(changes: Change[], texts: Texts, chinese: boolean): string {
  const adjusted = changes.map(({ name, before, after }) =>
    fill(texts["guard.retry.change"] ?? "", {
      name: texts[`guard.retry.names.${name}`] ?? name,
      before: before ?? texts["guard.retry.random"] ?? "–",
      after,
    }),
  )
  return fill(texts["guard.retry.changed"] ?? "", { changes: adjusted.join(chinese ? "，" : ", ") })
}

/** The loudest and newest event of each kind. A stall that is over, or is said elsewhere, is none. */
export function loudest(events: Guard[], growing: boolean): Guard[] {
  const strongest = new Map<string, Guard>()
  for (const event of events) {
    if (event.kind === "stall" && (growing || event.data?.state === "over")) {
      strongest.delete("stall")
      continue
    }
    const known = strongest.get(event.kind)
    if (!known || RANK[event.level] >= RANK[known.level]) strongest.set(event.kind, event)
  }
  return [...strongest.values()]
}

/** Whether the engine hangs, is only slow, or stands still for a reason not known yet. */
export function stallState(events: Guard[]): string {
  const last = events.findLast((event) => event.kind === "stall")
  return String(last?.data?.state ?? "begun")
}

export function chip(event: Guard, text: GuardText, open: boolean): HTMLElement {
  const button = h("button", {
    type: "button",
    class: `tk-chip tk-guard tk-guard-${event.level}`,
    "data-do": "guard_panel",
    "data-kind": event.kind,
    "aria-expanded": String(open),
    title: text.detail,
  })
  button.innerHTML = icon(event.kind === "loop" || event.kind === "decay" ? "loop" : "warn")
  button.append(text.title)
  return button
}

export function guardPanel(text: GuardText, passages: string[]): HTMLElement {
  const panel = h("div", { class: "tk-guard-panel" }, h("p", {}, text.detail), h("p", { class: "tk-hint" }, text.next))
  if (passages.length) panel.append(h("ul", {}, ...passages.map((text) => h("li", {}, `“${text}”`))))
  return panel
}

/** Self-repetition along the answer as a small line, new words as a dashed one, padding as ticks, and the
 * point where it went downhill. */
export function sparkline(decay: Decay, chars: number, texts: Texts): HTMLElement | null {
  const { series } = decay
  if (series.length < 3 || chars <= 0) return null
  const x = (at: number) => (Math.min(1, at / chars) * WIDTH).toFixed(1)
  const y = (rep: number) => (HEIGHT - 3 - Math.min(1, rep) * (HEIGHT - 6)).toFixed(1)
  const points = series.map(([at, rep]) => `${x(at)},${y(rep)}`)
  const line = `M0,${y(series[0]![1])} L${points.join(" L")}`
  const fresh = `M0,${y(series[0]![2])} L${series.map(([at, , share]) => `${x(at)},${y(share)}`).join(" L")}`
  const padding = series
    .map(([at, , , count], index) => (count > 0 ? padTick(Number(x(index ? series[index - 1]![0] : 0)), Number(x(at))) : ""))
    .join("")
  const end = x(series.at(-1)![0])
  const turn = decay.downhill_at
  const mark =
    turn === null || turn === undefined
      ? ""
      : `<line class="tk-turn" x1="${x(turn)}" x2="${x(turn)}" y1="0" y2="${HEIGHT}"/>` +
        `<circle class="tk-turn-dot" cx="${x(turn)}" cy="${y(repAt(series, turn))}" r="2.6"/>`
  const padded = series.reduce((sum, [, , , count]) => sum + count, 0)
  const label = fill(texts[padded ? "guard.decay.sparkline_padded" : "guard.decay.sparkline"] ?? "", { padded })
  const downhill = mark ? (texts["guard.decay.downhill"] ?? "") : ""
  const box = h("div", { class: "tk-decay", role: "img", "aria-label": downhill ? `${label}. ${downhill}` : label, title: label })
  box.innerHTML =
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" aria-hidden="true">` +
    `<path class="tk-decay-fill" d="${line} L${end},${HEIGHT} L0,${HEIGHT} Z"/><path class="tk-decay-new" d="${fresh}"/>` +
    `<path class="tk-decay-line" d="${line}"/>${padding}${mark}</svg>`
  box.append(h("span", {}, mark ? `${downhill} (${Math.round((100 * turn!) / chars)} %)` : label))
  return box
}

function padTick(from: number, to: number): string {
  return `<line class="tk-decay-pad" x1="${(from + 1).toFixed(1)}" x2="${Math.max(from + 2, to - 1).toFixed(1)}" y1="${HEIGHT - 1}" y2="${HEIGHT - 1}"/>`
}

/** What was cut off, folded. */
export function removedTail(text: string, texts: Texts): HTMLElement {
  const summary = h("summary", {}, fill(texts["guard.retry.show_tail"] ?? "", { chars: [...text].length }))
  return h("details", { class: "tk-tail" }, summary, h("pre", {}, text.trim()))
}

function repAt(series: Decay["series"], at: number): number {
  return (series.find(([end]) => end >= at) ?? series.at(-1)!)[1]
}

function variant(event: Guard): string {
  if (event.kind === "stall") return String(event.data?.state ?? "begun")
  return event.kind === "uncertainty" ? "note" : event.level
}

function valuesOf(data: Record<string, unknown>, texts: Texts): Record<string, unknown> {
  const values: Record<string, unknown> = { ...data }
  if ("script" in values) values.script = texts[`guard.scripts.${String(values.script)}`] ?? values.script
  for (const name of ["rep", "new"]) if (name in values) values[`${name}_percent`] = Math.round(100 * Number(values[name]))
  if ("copies" in values && !values.copies) values.copies = "≥ 2"
  return values
}
