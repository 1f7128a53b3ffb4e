// The whole transcript: merges what Python stored with what the live topic says, and keeps one
// element per message for as long as the message is shown.
import { LiveDisplay } from "./display"
import { COMMAND, fill, h } from "./dom"
import { icon } from "./icons"
import { MessageView } from "./message"
import { Follower } from "./scroll"
import { reader } from "./speech"
import type { Data, Reset } from "./types"

export class Transcript extends LiveDisplay {
  private readonly list = h("div", { class: "tk-list" })
  private readonly earlier = h("button", { type: "button", class: "tk-button tk-quiet tk-earlier", hidden: true })
  private readonly latest = h("button", { type: "button", class: "tk-latest", hidden: true })
  private readonly dividers = new Map<string, HTMLElement>()
  private found = ""
  private readonly views = new Map<string, MessageView>()
  private readonly follower: Follower
  private bottom: HTMLElement | null = null
  private readonly bottomSize = new ResizeObserver(() => {
    this.root.style.setProperty("--tk-bottom", `${this.bottom?.offsetHeight ?? 0}px`)
  })

  constructor(parent: ShadowRoot | HTMLElement) {
    super()
    this.root.append(this.earlier, this.list, this.offline, h("div", { class: "tk-latest-place" }, this.latest), this.spoken)
    parent.append(this.root)
    this.follower = new Follower(this.root, (following) => (this.latest.hidden = following))
    this.earlier.addEventListener("click", () => {
      this.follower.follow(false)
      this.act({ type: "earlier" })
    })
    this.latest.addEventListener("click", () => this.follower.jump())
    document.addEventListener(COMMAND, this.commanded)
  }

  update(data: Data): void {
    this.dress(data.texts, data.options)
    this.root.style.setProperty("--tk-width", data.options.max_width ?? "48rem")
    this.measureBottom()
    this.listenTo(data.topic)
    const grown = data.messages.at(-1)?.id !== this.messages.at(-1)?.id
    if (grown && data.messages.findLast((message) => message.role === "user")?.id !== this.messages.findLast((message) => message.role === "user")?.id) {
      this.follower.follow(true)
    }
    this.messages = data.messages
    this.topic.stored(data.messages)
    if (!data.messages.some((message) => message.id === reader.reading)) reader.stop()
    this.drawAll()
  }

  override close(): void {
    super.close()
    reader.stop()
    document.removeEventListener(COMMAND, this.commanded)
    this.follower.close()
    this.bottomSize.disconnect()
  }

  // ---- live ---------------------------------------------------------------------------------

  private listenTo(topic: string): void {
    if (!this.topic.listen(topic)) return
    this.views.clear()
    this.messages = []
    this.list.replaceChildren()
    this.follower.follow(true)
  }

  protected view(id: string): MessageView | undefined {
    return this.views.get(id)
  }

  protected drawGrown(ids: Iterable<string>, now: number): void {
    for (const id of ids) {
      this.views.get(id)?.drawText()
      this.views.get(id)?.drawStatus(now)
    }
    this.follower.keep()
  }

  // ---- drawing ------------------------------------------------------------------------------

  private drawAll(): void {
    const { options } = this
    this.earlier.hidden = !options.earlier
    if (options.earlier) {
      this.earlier.innerHTML = icon("up")
      this.earlier.append(h("span", {}, fill(this.words("earlier"), { n: options.earlier })))
    }
    this.latest.title = this.words("latest")
    this.latest.innerHTML = icon("down")
    this.latest.append(h("span", {}, this.words("latest")))
    this.follower.anchored(this.list.firstElementChild, () => this.place())
    this.tick()
    this.showFound()
  }

  /** A place where the model's state was cleared or the history shortened, and what it reads of what is above. */
  private divider({ after, kept, summary }: Reset): HTMLElement {
    let divider = this.dividers.get(after)
    if (!divider) {
      divider = h("div", { class: "tk-divider", role: "separator" })
      divider.addEventListener("click", (event) => {
        const button = (event.target as Element).closest("[data-do]")
        if (button instanceof HTMLElement) this.act({ type: button.dataset.do ?? "", message: after })
      })
      this.dividers.set(after, divider)
    }
    const state = summary ? (kept ? "full" : "summary") : kept ? "kept" : "cut"
    const signature = `${state}|${this.options.lang}|${summary ?? ""}`
    if (divider.dataset.drawn !== signature) {
      divider.dataset.drawn = signature
      divider.replaceChildren(
        h(
          "span",
          {},
          this.words(`reset.${state}`),
          " · ",
          h("button", { type: "button", class: "tk-link", "data-do": kept ? "history_drop" : "history_keep" }, this.words(`reset.${state}_undo`)),
          ...(summary ? [h("details", {}, h("summary", {}, this.words("reset.summary_show")), h("p", {}, summary))] : []),
        ),
      )
    }
    return divider
  }

  /** Bring the message a person searched for into view, once, with the found words marked. */
  private showFound(): void {
    const { found } = this.options
    const view = found && this.views.get(found.message)
    if (!found || !view || found.token === this.found) return
    this.found = found.token
    this.follower.follow(false)
    view.showFound(found.words)
    requestAnimationFrame(() => this.follower.lookAt(view.element))
  }

  private place(): void {
    const present = new Set(this.messages.map((message) => message.id))
    for (const [id] of this.views) if (!present.has(id)) this.views.delete(id)
    const resets = new Map((this.options.resets ?? []).map((reset) => [reset.after, reset]))
    const top = resets.get("")
    const wanted: Element[] = top ? [this.divider(top)] : []
    this.messages.forEach((message, index) => {
      let view = this.views.get(message.id)
      if (!view) {
        view = new MessageView(message, this)
        this.views.set(message.id, view)
      }
      view.update(message, this.topic.get(message.id), index === this.messages.length - 1)
      wanted.push(view.element)
      const reset = resets.get(message.id)
      if (reset) wanted.push(this.divider(reset))
    })
    let position = this.list.firstElementChild
    for (const element of wanted) {
      if (position === element) position = element.nextElementSibling
      else this.list.insertBefore(element, position)
    }
    while (position) {
      const next = position.nextElementSibling
      position.remove()
      position = next
    }
  }

  redraw(id: string): void {
    this.tick()
    const index = this.messages.findIndex((message) => message.id === id)
    const message = this.messages[index]
    if (!message) return
    this.views.get(id)?.update(message, this.topic.get(id), index === this.messages.length - 1)
    this.follower.keep()
  }

  /** The chat input covers the end of the page: the button to the newest text stands above it. */
  private measureBottom(): void {
    const bottom = document.querySelector<HTMLElement>('[data-testid="stBottom"]')
    if (bottom === this.bottom) return
    this.bottomSize.disconnect()
    this.bottom = bottom
    if (bottom) this.bottomSize.observe(bottom)
  }

  protected keyed(event: KeyboardEvent): void {
    if (event.isComposing || event.defaultPrevented || this.options.shortcuts === false) return
    if (event.key === "Escape") {
      if (document.querySelector('[role="dialog"], [data-baseweb="popover"]')) return
      if (this.stopWriting()) event.preventDefault()
    } else if (event.key === "ArrowUp" && emptyBox(event) && this.editLast()) {
      event.preventDefault()
    }
  }

  private readonly commanded = (event: Event): void => {
    const name = (event as CustomEvent).detail
    if (name === "edit") this.editLast()
    if (name === "stop") this.stopWriting()
  }

  /** Stop the answer that is written; false when none is. */
  private stopWriting(): boolean {
    for (const [id, answer] of this.topic.live()) {
      if (answer.queued) continue
      this.stop(id)
      return true
    }
    return false
  }

  /** Let a person edit the last question; false when there is none. */
  private editLast(): boolean {
    const last = this.messages.findLast((message) => message.role === "user")
    const view = last && this.views.get(last.id)
    if (!view || this.topic.anyLive) return false
    view.edit()
    this.follower.follow(false)
    view.element.scrollIntoView({ block: "nearest" })
    return true
  }
}

/** Whether a key was pressed in the page's message box while nothing stands in it. */
function emptyBox(event: KeyboardEvent): boolean {
  const box = event.composedPath()[0]
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return false
  return box instanceof HTMLTextAreaElement && box.value === "" && box.closest('[data-testid="stChatInput"]') !== null
}
