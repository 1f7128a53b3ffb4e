// The mathematics of choosing a token, as in tests/oracles/sampling.py: the same numbers in the
// browser. Pure functions over the probabilities of the likeliest candidates; a test holds both equal.

export type Order = "llama.cpp" | "transformers"
export type StepName = "temperature" | "top_k" | "typical_p" | "top_p" | "min_p"

export interface Sampling {
  temperature: number
  top_k: number
  top_p: number
  min_p: number
  typical_p: number
  order: Order
}

export interface Step {
  name: StepName
  probs: number[]
  kept: number
  off: boolean
}

export interface Reshaped {
  probs_low: number[]
  probs_high: number[]
  remainder_low: number
  remainder_high: number
}

export const CHAINS: Record<Order, StepName[]> = {
  "llama.cpp": ["top_k", "typical_p", "top_p", "min_p", "temperature"],
  transformers: ["temperature", "top_k", "top_p", "min_p", "typical_p"],
}

/** p^(1/T) over the candidates alone, made to sum to one; T = 0 gives all to the likeliest. */
export function atTemperature(probs: number[], temperature: number): number[] {
  const top = Math.max(0, ...probs)
  if (temperature < 0 || top <= 0) throw new RangeError("temperature ≥ 0 and a positive probability are needed")
  if (temperature === 0) {
    const best = probs.indexOf(top)
    return probs.map((_, index) => (index === best ? 1 : 0))
  }
  const weights = probs.map((p) => power(p / top, temperature))
  const total = sum(weights)
  return weights.map((weight) => weight / total)
}

/** The candidates at T > 0 with bounds for what lies outside them; see reshape in sampling.py. */
export function reshape(probs: number[], temperature: number, vocabulary: number): Reshaped {
  if (temperature <= 0) throw new RangeError("temperature > 0 is needed")
  const smallest = Math.min(...probs)
  const outside = Math.max(0, 1 - sum(probs))
  const others = Math.max(1, vocabulary - probs.length)
  const spread = others * power(outside / others, temperature)
  const count = smallest > 0 ? Math.min(others, Math.floor(outside / smallest)) : 0
  const rest = Math.max(0, outside - count * smallest)
  const gathered = count * power(smallest, temperature) + power(rest, temperature)
  const low = Math.min(spread, gathered)
  const high = Math.max(spread, gathered)
  const weights = probs.map((p) => power(p, temperature))
  const inside = sum(weights)
  return {
    probs_low: weights.map((weight) => weight / (inside + high)),
    probs_high: weights.map((weight) => weight / (inside + low)),
    remainder_low: low / (inside + low),
    remainder_high: high / (inside + high),
  }
}

export function topK(probs: number[], k: number): number[] {
  if (k <= 0 || k >= probs.length) return normalised(probs)
  return renormalised(probs, new Set(likeliest(probs).slice(0, k)))
}

export function topP(probs: number[], p: number): number[] {
  const normal = normalised(probs)
  if (p >= 1) return normal
  const keep = new Set<number>()
  let reached = 0
  for (const index of likeliest(normal)) {
    keep.add(index)
    reached += normal[index]!
    if (reached >= p) break
  }
  return renormalised(normal, keep)
}

export function minP(probs: number[], share: number): number[] {
  const limit = Math.max(0, ...probs) * share
  return renormalised(probs, new Set([...probs.keys()].filter((index) => probs[index]! > 0 && probs[index]! >= limit)))
}

export function typicalP(probs: number[], p: number): number[] {
  const normal = normalised(probs)
  if (p >= 1) return normal
  const present = [...normal.keys()].filter((index) => normal[index]! > 0)
  const entropy = -sum(present.map((index) => normal[index]! * Math.log(normal[index]!)))
  const distance = (index: number) => Math.abs(-Math.log(normal[index]!) - entropy)
  const keep = new Set<number>()
  let reached = 0
  for (const index of present.sort((a, b) => distance(a) - distance(b))) {
    keep.add(index)
    reached += normal[index]!
    if (reached > p) break
  }
  return renormalised(normal, keep)
}

/** The candidates' probabilities after every step, in the order in force. */
export function runChain(probs: number[], sampling: Sampling): Step[] {
  let now = probs
  return CHAINS[sampling.order].map((name) => {
    now = apply(name, now, sampling)
    return { name, probs: now, kept: now.filter((p) => p > 0).length, off: sampling[name] === OFF[name] }
  })
}

/** Whether `probs` are enough to know the chain's result: nothing outside them can take part. */
export function isExact(probs: number[], sampling: Sampling): boolean {
  if (sampling.temperature === 0) return true
  return (sampling.top_k > 0 && sampling.top_k <= probs.length) || 1 - sum(probs) < 1e-6
}

const OFF: Record<StepName, number> = { temperature: 1, top_k: 0, top_p: 1, min_p: 0, typical_p: 1 }

function apply(name: StepName, probs: number[], sampling: Sampling): number[] {
  if (name === "temperature") return atTemperature(probs, sampling.temperature)
  if (name === "top_k") return topK(probs, sampling.top_k)
  if (name === "top_p") return topP(probs, sampling.top_p)
  if (name === "min_p") return minP(probs, sampling.min_p)
  return typicalP(probs, sampling.typical_p)
}

function power(p: number, temperature: number): number {
  return p > 0 ? Math.exp(Math.log(p) / temperature) : 0
}

function likeliest(probs: number[]): number[] {
  return [...probs.keys()].sort((a, b) => probs[b]! - probs[a]!)
}

function normalised(probs: number[]): number[] {
  const total = sum(probs)
  return total > 0 ? probs.map((p) => p / total) : [...probs]
}

function renormalised(probs: number[], keep: Set<number>): number[] {
  return normalised(probs.map((p, index) => (keep.has(index) ? p : 0)))
}

/** Neumaier's sum, so that long lists add up as in Python. */
export function sum(values: number[]): number {
  let total = 0
  let lost = 0
  for (const value of values) {
    const next = total + value
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total
    total = next
  }
  return total + lost
}
