// How a token and a probability are written for people.

/** A token's text with its blanks and line ends made visible. */
export function visible(text: string): string {
  if (text === "") return "∅"
  return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥")
}

export function percent(p: number): string {
  if (p <= 0) return "0 %"
  if (p < 0.001) return "< 0.1 %"
  if (p >= 0.9995) return "100 %"
  return `${(p * 100).toFixed(p < 0.1 || p > 0.99 ? 1 : 0)} %`
}
