// Small helpers for making and comparing DOM nodes.

/** A document event by which one component of the page asks another for something; its detail is a name. */
export const COMMAND = "twokeys:command"

type Child = Node | string | null | undefined | false

export function h(tag: string, attributes: Record<string, unknown> = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), value as EventListener)
    } else {
      element.setAttribute(name, value === true ? "" : String(value))
    }
  }
  for (const child of children) if (child) element.append(child)
  return element
}

/** Make `target`'s children from index `from` on equal to those of `source`, touching only what differs. */
export function morphChildren(target: Element, source: Node, from = 0): void {
  let current: ChildNode | null = from > 0 ? (target.children[from - 1]?.nextSibling ?? null) : target.firstChild
  let wanted = source.firstChild
  while (wanted) {
    const next: ChildNode | null = wanted.nextSibling
    if (!current) {
      target.append(wanted)
    } else {
      const following: ChildNode | null = current.nextSibling
      morph(current, wanted)
      current = following
    }
    wanted = next
  }
  while (current) {
    const following: ChildNode | null = current.nextSibling
    current.remove()
    current = following
  }
}

function morph(current: Node, wanted: Node): void {
  if (current.nodeType !== wanted.nodeType || current.nodeName !== wanted.nodeName) {
    current.parentNode?.replaceChild(wanted, current)
  } else if (current instanceof CharacterData && wanted instanceof CharacterData) {
    if (wanted.data.startsWith(current.data)) {
      if (wanted.data.length > current.data.length) current.appendData(wanted.data.slice(current.data.length))
    } else {
      current.data = wanted.data
    }
  } else if (current instanceof Element && wanted instanceof Element) {
    if (current.classList.contains("katex") || current.classList.contains("tk-math")) {
      if (!current.isEqualNode(wanted)) current.replaceWith(wanted)
      return
    }
    for (const { name, value } of wanted.attributes) {
      if (current.getAttribute(name) !== value) current.setAttribute(name, value)
    }
    for (const { name } of [...current.attributes]) if (!wanted.hasAttribute(name)) current.removeAttribute(name)
    morphChildren(current, wanted)
  }
}

export function fill(text: string, values: Record<string, unknown> = {}): string {
  const counted = text.replace(/\{(\w+)\|([^{}|]*)\|([^{}|]*)\}/g, (_, name: string, one: string, other: string) => (String(values[name]) === "1" ? one : other))
  return counted.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole))
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = h("textarea", { style: "position:fixed;opacity:0", "aria-hidden": "true" }) as HTMLTextAreaElement
    area.value = text
    document.body.append(area)
    area.select()
    const copied = document.execCommand("copy") // the only way on a page without TLS
    area.remove()
    return copied
  }
}
