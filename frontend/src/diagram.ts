// Diagrams: the source of a mermaid fence drawn by the library of that name, which is loaded when the
// first one appears. A drawing is shown as a picture: no script runs in it and it fetches nothing.
// What the library cannot draw, and what is longer than the limit, stays code.

const MOST_CHARACTERS = 20_000
const MOST_DRAWINGS = 200
const FONT =
  'system-ui, "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", sans-serif'
/** A node whose picture comes from an address: the page would ask for it, and be refused. */
const FETCHED = /\bimg["']?\s*:/
/** What a source may not choose for itself: how it is secured, laid out and coloured. */
const FIXED = [
  "secure", "securityLevel", "startOnLoad", "maxTextSize", "suppressErrorRendering", "maxEdges",
  "htmlLabels", "textPlacement", "dompurifyConfig", "layout", "theme", "themeVariables", "themeCSS", "darkMode", "fontFamily",
]

/** The page's colours by the library's names; SCALE: what branches, periods and groups take in turn. */
const COLOURS = {
  light: {
    background: "#f6f4ef", primaryColor: "#fbe3d0", primaryTextColor: "#23262b", primaryBorderColor: "#b98a66", secondaryColor: "#dfeaf6",
    tertiaryColor: "#e6f0da", lineColor: "#5d5a54", textColor: "#23262b", noteBkgColor: "#fff2cc", noteTextColor: "#23262b",
    edgeLabelBackground: "#f6f4ef", clusterBkg: "#eeeae1", clusterBorder: "#cfc8ba", commitLabelColor: "#23262b", commitLabelBackground: "#eeeae1",
  },
  dark: {
    background: "#232221", primaryColor: "#4a3524", primaryTextColor: "#ece9e3", primaryBorderColor: "#b98a66", secondaryColor: "#263b50",
    tertiaryColor: "#30432a", lineColor: "#b8b4ac", textColor: "#ece9e3", noteBkgColor: "#4a4120", noteTextColor: "#ece9e3",
    edgeLabelBackground: "#232221", clusterBkg: "#2d2b29", clusterBorder: "#56524b", commitLabelColor: "#ece9e3", commitLabelBackground: "#2d2b29",
  },
}
const SCALE = {
  light: ["#f6cba9", "#bcd6f0", "#c9e2ae", "#f3dc9a", "#e3c3e6", "#b5e0d8"],
  dark: ["#6b4526", "#2c4d70", "#3d5a2f", "#665420", "#573a5e", "#24564e"],
}

export interface Picture {
  address: string // data: URL
  width: number // pixels
  height: number
}

type Theme = "light" | "dark"
type Mermaid = typeof import("mermaid").default

/** The brightness that new drawings are made for. */
export const look: { theme: Theme } = { theme: "light" }

const drawings = new Map<string, Partial<Record<Theme, Picture | "asked" | "broken">>>()
const unfolded = new Set<string>()
const waiting = new Set<() => void>()
let queue = Promise.resolve()
let count = 0

/** Call back after each drawing, so that the code that stands in its place can be replaced. */
export function onDrawn(callback: () => void): () => void {
  waiting.add(callback)
  return () => waiting.delete(callback)
}

/** Return the picture of a source, or that of the other brightness while this one's is drawn; "asked" before there is any. */
export function drawing(source: string): Picture | "asked" | "broken" {
  if (source.length > MOST_CHARACTERS || !source.trim() || (source.includes("@{") && FETCHED.test(source))) return "broken"
  let known = drawings.get(source)
  if (!known) {
    if (drawings.size >= MOST_DRAWINGS) drawings.delete(drawings.keys().next().value as string)
    drawings.set(source, (known = {}))
  }
  const { theme } = look
  if (!known[theme]) {
    known[theme] = "asked"
    const next = () => draw(source, theme)
    queue = queue.then(next, next)
  }
  const picture = known[theme]
  const other = known[theme === "dark" ? "light" : "dark"]
  return picture === "asked" && typeof other === "object" ? other : picture
}

/** Whether a person wants to see the source in place of the picture. */
export function showsSource(source: string): boolean {
  return unfolded.has(source)
}

export function turn(source: string): void {
  if (!unfolded.delete(source)) unfolded.add(source)
}

async function draw(source: string, theme: Theme): Promise<void> {
  let mermaid: Mermaid
  try {
    mermaid = (await import("mermaid")).default
  } catch {
    drawings.delete(source) // asked for again when it is drawn again
    return
  }
  const place = document.createElement("div")
  place.setAttribute("aria-hidden", "true")
  place.style.cssText = "all: initial; position: fixed; top: 0; left: -10000px; width: 860px; visibility: hidden"
  document.body.append(place)
  let result: Picture | "broken" = "broken"
  try {
    mermaid.initialize(configuration(theme))
    count += 1
    const { svg, diagramType } = await mermaid.render(`tk-drawing-${count}`, source, place)
    if (diagramType !== "error") result = await picture(svg)
  } catch {
    result = "broken" // the library throws whatever its parsers throw
  } finally {
    place.remove()
  }
  const known = drawings.get(source)
  if (known) known[theme] = result
  for (const callback of waiting) callback()
}

async function picture(svg: string): Promise<Picture> {
  const template = document.createElement("template")
  template.innerHTML = svg
  const root = template.content.querySelector("svg")
  const [, , width = 0, height = 0] = (root?.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number)
  if (!root || !(width > 0 && height > 0)) throw new Error("A drawing without a size")
  if (root.querySelector("foreignObject")) throw new Error("A drawing with HTML in it")
  root.setAttribute("width", String(width))
  root.setAttribute("height", String(height))
  root.style.removeProperty("max-width")
  const image = new Image()
  image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(root))}`
  await image.decode()
  return { address: image.src, width: Math.ceil(width), height: Math.ceil(height) }
}

function configuration(theme: Theme): Parameters<Mermaid["initialize"]>[0] {
  const darkMode = theme === "dark"
  const ink = COLOURS[theme].textColor
  const scale = SCALE[theme]
  const turns = Array.from({ length: 12 }, (_, n) => [
    [`cScale${n}`, scale[n % scale.length]],
    [`cScaleLabel${n}`, ink],
  ])
  return {
    startOnLoad: false,
    securityLevel: "strict",
    secure: FIXED,
    suppressErrorRendering: true,
    htmlLabels: false,
    layout: "dagre",
    mindmap: { layout: "cose-bilkent" },
    swimlane: { layout: "swimlane" },
    flowchart: { wrappingWidth: 200 },
    state: { minNodeWidth: 0 }, // a wider box has its words at its left edge
    journey: { textPlacement: "tspan" },
    look: "classic",
    theme: "base",
    darkMode,
    themeVariables: { ...COLOURS[theme], ...Object.fromEntries(turns.flat()), darkMode, fontFamily: FONT },
    themeCSS: `text.journey-section, text.task { fill: ${ink} }`,
    fontFamily: FONT,
  }
}
