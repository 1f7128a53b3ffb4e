// What a component has to know of the page around it: its brightness, its styles.

/** Whether Streamlit's page is dark, by the brightness of its background. */
export function darkPage(element: HTMLElement): boolean {
  const colour = getComputedStyle(element).getPropertyValue("--st-background-color").trim()
  const hex = /^#([0-9a-f]{6}|[0-9a-f]{3})/i.exec(colour)?.[1]
  const parts = hex
    ? (hex.length === 3 ? [...hex].map((digit) => digit + digit) : (hex.match(/../g) ?? [])).map((pair) => parseInt(pair, 16))
    : (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number)
  if (parts.length < 3) return matchMedia("(prefers-color-scheme: dark)").matches
  return 0.299 * parts[0]! + 0.587 * parts[1]! + 0.114 * parts[2]! < 128
}

const roots = new Map<HTMLElement, () => void>()
let watched: Element | null = null

/**
 * Tell a component's styles whether the page is dark, now and whenever that changes: by a choice, or by the system at dusk.
 * `changed` is called after each change, the first telling included.
 */
export function followTheme(root: HTMLElement, changed: () => void = () => undefined): void {
  roots.set(root, changed)
  setTheme(root)
  const app = document.querySelector('[data-testid="stApp"]')
  if (!app || app === watched) return
  watched = app
  setPageTheme(app)
  new MutationObserver(() => {
    setPageTheme(app)
    for (const each of roots.keys()) {
      if (each.isConnected) setTheme(each)
      else roots.delete(each)
    }
  }).observe(app, { attributes: true, attributeFilter: ["class"] })
}

function setTheme(root: HTMLElement): void {
  const theme = darkPage(root) ? "dark" : "light"
  if (root.dataset.theme === theme) return
  root.dataset.theme = theme
  roots.get(root)?.()
}

/** Dialogs and popovers lie outside the part of the page that tells its mode. */
function setPageTheme(app: Element): void {
  document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme
}

const made = new Map<string, CSSStyleSheet>()

/** Give a component its style sheets; each is parsed once a page. */
export function dress(parent: ShadowRoot | HTMLElement, styles: string[]): void {
  const sheets = styles.map((text) => {
    let sheet = made.get(text)
    if (!sheet) {
      sheet = new CSSStyleSheet()
      sheet.replaceSync(text)
      made.set(text, sheet)
    }
    return sheet
  })
  const scope = parent instanceof ShadowRoot ? parent : document
  scope.adoptedStyleSheets = [...scope.adoptedStyleSheets, ...sheets]
}
