// What the next token would be drawn from at other parameters, as far as the candidates tell: the
// mirror of tests/oracles/outlook.py, which explains the bounds. A test holds both equal.
import { sum, type Order } from "./sampling"

export type Cut = "top_k" | "top_p" | "min_p"

export interface Knobs {
  temperature: number
  top_k: number
  top_p: number
  min_p: number
  order: Order
}

export interface Outlook {
  low: number[]
  high: number[]
  cut: (Cut | null)[]
  rest_low: number
  rest_high: number
  rest_cut: Cut | null
  sure: boolean
}

const CHAINS: Record<Order, (Cut | "temperature")[]> = {
  "llama.cpp": ["top_k", "top_p", "min_p", "temperature"],
  transformers: ["temperature", "top_k", "top_p", "min_p"],
}

class Draw {
  weights: number[]
  readonly cut: (Cut | null)[]
  low: number
  high: number
  others: number
  largest: number
  rest_cut: Cut | null = null
  sure = true

  constructor(probs: number[], vocabulary: number) {
    this.weights = [...probs]
    this.cut = probs.map(() => null)
    this.low = this.high = Math.max(0, 1 - sum(probs))
    this.others = Math.max(1, vocabulary - probs.length)
    this.largest = Math.min(...probs)
    if (this.high < 1e-9) this.low = this.high = 0
  }

  temperature(value: number): void {
    const top = Math.max(...this.weights)
    if (value === 0) {
      const best = this.weights.indexOf(top)
      this.weights = this.weights.map((_, index) => (index === best ? 1 : 0))
      this.low = this.high = this.largest = 0
      return
    }
    const [spreadLow, gatheredLow] = this.extremes(this.low / top, this.largest / top, value)
    const [spreadHigh, gatheredHigh] = this.extremes(this.high / top, this.largest / top, value)
    this.low = Math.min(spreadLow, gatheredLow)
    this.high = Math.max(spreadHigh, gatheredHigh)
    this.weights = this.weights.map((weight) => power(weight / top, value))
    this.largest = power(this.largest / top, value)
  }

  top_k(k: number): void {
    if (k <= 0) return
    const present = this.weights.filter((weight) => weight > 0).length
    if (present > k) for (const index of this.ranked().slice(k)) this.drop(index, "top_k")
    const more = k - present
    if (more <= 0) this.dropRest("top_k")
    else if (more < this.others) {
      this.low *= more / this.others
      this.high = Math.min(this.high, more * this.largest)
      this.others = more
    }
  }

  top_p(p: number): void {
    if (p >= 1) return
    const inside = sum(this.weights)
    const limits = [p * (inside + this.low), p * (inside + this.high)] as const
    const limit = (limits[0] + limits[1]) / 2
    let reached = 0
    for (const index of this.ranked()) {
      const weight = this.weights[index]!
      if (limits[0] <= reached && reached < limits[1]) this.sure = false
      if (reached > 0 && reached >= limit) this.drop(index, "top_p")
      reached += weight
    }
    if (limits[0] <= inside && inside < limits[1] && this.high > 0) this.sure = false
    if (inside >= limit) this.dropRest("top_p")
    else this.low = Math.min(this.high, Math.max(0, limits[0] - inside))
  }

  min_p(share: number): void {
    if (share <= 0) return
    const limit = Math.max(...this.weights) * share
    this.weights.forEach((weight, index) => {
      if (weight > 0 && weight < limit) this.drop(index, "min_p")
    })
    if (this.largest < limit) this.dropRest("min_p")
    else this.low = 0
  }

  outlook(): Outlook {
    const inside = sum(this.weights)
    return {
      low: this.weights.map((weight) => weight / (inside + this.high)),
      high: this.weights.map((weight) => weight / (inside + this.low)),
      cut: this.cut,
      rest_low: this.low / (inside + this.low),
      rest_high: this.high / (inside + this.high),
      rest_cut: this.rest_cut,
      sure: this.sure,
    }
  }

  private extremes(mass: number, largest: number, temperature: number): [number, number] {
    const spread = this.others * power(mass / this.others, temperature)
    const count = largest > 0 ? Math.min(this.others, Math.floor(mass / largest)) : 0
    const left = Math.max(0, mass - count * largest)
    return [spread, count * power(largest, temperature) + power(left, temperature)]
  }

  private ranked(): number[] {
    return [...this.weights.keys()].filter((i) => this.weights[i]! > 0).sort((a, b) => this.weights[b]! - this.weights[a]!)
  }

  private drop(index: number, by: Cut): void {
    this.weights[index] = 0
    this.cut[index] = by
  }

  private dropRest(by: Cut): void {
    if (this.high > 0) this.rest_cut = by
    this.low = this.high = 0
  }
}

/** See outlook in tests/oracles/outlook.py. */
export function outlook(probs: number[], knobs: Knobs, vocabulary: number): Outlook {
  if (!probs.some((p) => p > 0)) throw new RangeError("at least one positive probability is needed")
  const draw = new Draw(probs, vocabulary)
  for (const name of CHAINS[knobs.order]) draw[name](knobs[name])
  return draw.outlook()
}

export interface Mean {
  before: number[]
  now: number[]
  rest_before: number
  rest_low: number
  rest_high: number
  /** How many equally likely tokens the choice amounts to: e to the mean entropy of the candidates. */
  choices_before: number
  choices_now: number
}

type Before = Pick<Mean, "before" | "rest_before" | "choices_before">

const untouched = new WeakMap<number[][], Before>()

/** The average over many places, by rank: the likeliest candidate of each, the second, and so on. */
export function meanOutlook(places: number[][], knobs: Knobs, vocabulary: number): Mean {
  const before = untouched.get(places) ?? meanBefore(places)
  untouched.set(places, before)
  const n = places.length || 1
  const now = before.before.map(() => 0)
  let low = 0
  let high = 0
  let choices = 0
  for (const place of places) {
    const result = outlook(place, knobs, vocabulary)
    const middle = result.low.map((value, rank) => (value + result.high[rank]!) / 2)
    for (let rank = 0; rank < middle.length; rank += 1) now[rank]! += middle[rank]! / n
    low += result.rest_low / n
    high += result.rest_high / n
    choices += entropy(middle) / n
  }
  return { ...before, now, rest_low: low, rest_high: high, choices_now: Math.exp(choices) }
}

function meanBefore(places: number[][]): Before {
  const n = places.length || 1
  const before = new Array<number>(Math.max(0, ...places.map((place) => place.length))).fill(0)
  let rest = 0
  let choices = 0
  for (const place of places) {
    place.forEach((p, rank) => (before[rank]! += p / n))
    rest += Math.max(0, 1 - sum(place)) / n
    choices += entropy(place) / n
  }
  return { before, rest_before: rest, choices_before: Math.exp(choices) }
}

function entropy(probs: number[]): number {
  const total = sum(probs)
  return total > 0 ? Math.log(total) - sum(probs.map((p) => (p > 0 ? p * Math.log(p) : 0))) / total : 0
}

function power(p: number, temperature: number): number {
  return p > 0 ? Math.exp(Math.log(p) / temperature) : 0
}
