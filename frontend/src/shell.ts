// What the page around the components does: where the cursor is, when the sidebar of a phone closes,
// and the framework's own words, which exist in English only, in the reader's language. Draws nothing.
import type { Action } from "./types"

export interface ShellData {
  /** Where the cursor goes when the token is another one than before; on a desk only. */
  focus: { selector: string; token: string; again: number } | null
  /** What closes the sidebar of a phone when it is chosen. */
  closes: string
  /** Whole texts of the framework, and beginnings of them that end in "…". */
  words: Record<string, string>
  /** "system", "light" or "dark"; "" leaves the theme as it is. */
  theme?: string
}

const PHONE_PX = 768
const FOCUS_WITHIN_MS = 3000
const AFTER_DIALOG_MS = 10000 // a dialog takes its time to go on a busy machine
const ORIGINAL = "data-tk-original"
const ATTRIBUTES = ["aria-label", "title", "placeholder"]
/** The framework's own places; elsewhere a person's text may read just the same. */
const PLACES =
  '[data-testid="stMainMenuList"],[data-testid="stMainMenuPopover"],[data-testid="stStatusWidget"],' +
  '[data-testid="stConnectionStatus"],[role="dialog"],[data-testid="stSelectboxVirtualDropdown"],[data-testid="InputInstructions"],a[href^="#"]'

export class Shell {
  send: (action: Action) => void = () => undefined
  private data: ShellData = { focus: null, closes: "", words: {} }
  private token = ""
  private again = 0
  private theme = ""
  private language = ""
  private readonly observer = new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "attributes") this.attribute(change.target as Element, change.attributeName ?? "")
      else if (change.type === "characterData") this.text(change.target as Text)
      else for (const node of change.addedNodes) this.under(node)
    }
  })
  private readonly chosen = (event: Event): void => {
    const target = event.target
    if (window.innerWidth > PHONE_PX || !this.data.closes || !(target instanceof Element)) return
    if (target.closest(this.data.closes)) setTimeout(closeSidebar, 60)
  }

  constructor() {
    document.addEventListener("click", this.chosen)
  }

  update(data: ShellData): void {
    this.data = data
    const language = JSON.stringify(data.words)
    if (language !== this.language) {
      this.language = language
      this.observer.disconnect()
      restore()
      this.under(document.body)
      this.observer.observe(document.body, {
        subtree: true,
        childList: true,
        characterData: true,
        attributes: true,
        attributeFilter: ATTRIBUTES,
      })
    }
    if (data.theme && data.theme !== this.theme) {
      this.theme = data.theme
      useTheme(data.theme, performance.now() + FOCUS_WITHIN_MS)
    }
    if (!data.focus) return
    const { selector, token, again } = data.focus
    const adrift = token === this.token
    if (adrift && again === this.again) return
    this.token = token
    this.again = again
    focusSoon(selector, adrift, performance.now() + (adrift ? AFTER_DIALOG_MS : FOCUS_WITHIN_MS))
  }

  close(): void {
    this.observer.disconnect()
    document.removeEventListener("click", this.chosen)
    restore()
  }

  private under(node: Node): void {
    if (node instanceof Text) this.text(node)
    if (!(node instanceof Element)) return
    for (const name of ATTRIBUTES) {
      this.attribute(node, name)
      for (const element of node.querySelectorAll(`[${name}]`)) this.attribute(element, name)
    }
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) this.text(walker.currentNode as Text)
  }

  private attribute(element: Element, name: string): void {
    const value = element.getAttribute(name)
    const translated = value && this.translated(value)
    if (!translated || element.matches("textarea,input[type=text]")) return
    element.setAttribute(`${ORIGINAL}-${name}`, value)
    element.setAttribute(name, translated)
  }

  private text(text: Text): void {
    const parent = text.parentElement
    if (!parent?.closest(PLACES)) return
    const value = text.data.trim()
    const translated = value && this.translated(value)
    if (!translated) return
    parent.setAttribute(ORIGINAL, text.data)
    text.data = translated
  }

  private translated(value: string): string | undefined {
    let words = this.data.words[value]
    if (words === undefined) {
      const known = Object.keys(this.data.words).find((text) => text.endsWith("…") && value.startsWith(text.slice(0, -1)))
      words = known && this.data.words[known]?.replace("…", value.slice(known.length - 1))
    }
    return words === value ? undefined : words // what is put there is looked at again
  }
}

function restore(): void {
  for (const element of document.querySelectorAll(`[${ORIGINAL}]`)) {
    const text = [...element.childNodes].find((node) => node instanceof Text)
    if (text instanceof Text) text.data = element.getAttribute(ORIGINAL) ?? text.data
    element.removeAttribute(ORIGINAL)
  }
  for (const name of ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[${ORIGINAL}-${name}]`)) {
      element.setAttribute(name, element.getAttribute(`${ORIGINAL}-${name}`) ?? "")
      element.removeAttribute(`${ORIGINAL}-${name}`)
    }
  }
}

/** Choose a theme in the framework's own menu, which is hidden: there is no other way to it. */
function useTheme(theme: string, until: number): void {
  const name = theme.charAt(0).toUpperCase() + theme.slice(1)
  const stored = localStorage.getItem(`stActiveTheme-${window.location.pathname}-v2`) ?? '"System"'
  if (stored === JSON.stringify(name)) return
  const item = document.querySelector<HTMLElement>(`[data-testid="stMainMenuItem-theme-${name}"]`)
  const menu = document.querySelector<HTMLElement>('[data-testid="stMainMenuButton"]')
  if (item) {
    item.click()
    if (menu?.getAttribute("aria-expanded") === "true") menu.click()
    return
  }
  if (menu && menu.getAttribute("aria-expanded") !== "true") menu.click()
  if (performance.now() < until) requestAnimationFrame(() => useTheme(theme, until))
}

function closeSidebar(): void {
  const sidebar = document.querySelector('[data-testid="stSidebar"]:not([data-collapsed="true"])')
  sidebar?.querySelector<HTMLElement>('[data-testid="stSidebarCollapseButton"] button')?.click()
}

/** Put the cursor there once it is drawn, unless a person writes somewhere else meanwhile; with `adrift` only if it is nowhere. */
function focusSoon(selector: string, adrift: boolean, until: number): void {
  if (!matchMedia("(hover: hover) and (pointer: fine)").matches || window.innerWidth <= PHONE_PX) return
  const active = document.activeElement
  const writing = active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement
  const wanted = document.querySelector<HTMLElement>(selector)
  if (active === wanted && wanted) return
  if (writing && active.type !== "radio" && active.type !== "checkbox" && !active.closest('[role="dialog"]')) return
  const nowhere = !active || active === document.body || active.matches('[tabindex="-1"]')
  if (adrift && !nowhere && !active.closest('[role="dialog"]')) return
  if (wanted && (nowhere || !adrift)) {
    wanted.focus({ preventScroll: true })
    if (wanted instanceof HTMLInputElement) wanted.select()
    if (document.activeElement === wanted) return
  }
  if (performance.now() < until) setTimeout(() => focusSoon(selector, adrift, until), 50)
}
