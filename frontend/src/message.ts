// One message on the screen. Keeps its element for good and redraws only the parts that changed.
import type { LiveAnswer } from "./answer"
import { turn } from "./diagram"
import { copyText, fill, h } from "./dom"
import { chip, describe, describeChanges, loudest, removedTail, sparkline, stallState, guardPanel } from "./guard"
import { icon } from "./icons"
import { markStretches, markWords, type Stretch } from "./marks"
import { languageOf, reader } from "./speech"
import { MarkdownBody } from "./stream"
import { StructuredBody } from "./structured"
import type { Decay, Action, Guard, Message, Options } from "./types"

const CUT = new Set(["length", "context", "guard", "cancelled", "interrupted", "error"])
const USER_ACTIONS = ["copy", "edit", "delete"]
const ASSISTANT_ACTIONS = ["copy", "regenerate", "branch", "compare", "details", "delete"]

export interface Surroundings {
  texts: Record<string, string>
  options: Options
  act(action: Action): void
  stop(message: string): void
}

export class MessageView {
  readonly element: HTMLElement
  private readonly files: HTMLElement
  private readonly content: HTMLElement
  private readonly foot: HTMLElement
  private readonly status: HTMLElement
  private readonly body: MarkdownBody | null
  private form: StructuredBody | null = null
  private footSignature = ""
  private statusSignature = ""
  private editing = false
  private opened = "" // the kind of event whose words are unfolded
  private marked = ""
  private unread = "" // why it was not read aloud
  private message: Message
  private live: LiveAnswer | null = null

  constructor(
    message: Message,
    private readonly around: Surroundings,
  ) {
    this.message = message
    const user = message.role === "user"
    this.content = h("div", { class: user ? "tk-bubble" : "tk-md" })
    this.files = h("ul", { class: "tk-files", hidden: true })
    this.status = h("div", { class: "tk-status", hidden: true })
    this.foot = h("div", { class: "tk-foot" })
    this.element = h(
      "article",
      { class: `tk-message tk-${message.role}`, "data-message": message.id },
      this.files,
      this.content,
      this.status,
      this.foot,
    )
    this.body = user ? null : new MarkdownBody(this.content)
    this.element.addEventListener("click", this.clicked)
  }

  get id(): string {
    return this.message.id
  }

  update(message: Message, live: LiveAnswer | null, last: boolean): void {
    this.message = message
    this.live = live
    const growing = Boolean(live && !live.ended)
    this.element.classList.toggle("tk-growing", growing)
    this.element.classList.toggle("tk-last", last)
    this.element.classList.toggle("tk-excluded", Boolean(message.excluded))
    this.element.setAttribute("aria-label", this.text(message.role === "user" ? "you" : "assistant"))
    this.element.setAttribute("aria-busy", String(growing))
    this.drawFiles()
    this.drawText()
    this.drawStatus(performance.now())
    this.drawFoot(growing)
    this.drawMarks()
  }

  /** The documents before a question, by name; their texts are in “how this answer was made”. */
  private drawFiles(): void {
    const files = this.message.files ?? []
    this.files.hidden = !files.length
    this.files.setAttribute("aria-label", this.text("files"))
    this.files.replaceChildren(
      ...files.map((file) => {
        const entry = h("li", { class: "tk-file" })
        entry.innerHTML = icon("file")
        entry.append(h("span", { class: "tk-file-name" }, file.name), h("span", { class: "tk-file-note" }, file.note))
        return entry
      }),
    )
  }

  /** Draw the text as it is now; cheap when nothing changed. */
  drawText(): void {
    if (this.editing) return
    const text = this.live ? this.live.text : this.message.content
    const growing = Boolean(this.live && !this.live.ended)
    const { structured } = this.message
    if (structured && this.body) {
      this.form ??= new StructuredBody(this.content, this.id, (key) => this.text(key))
      this.form.render(text, growing, structured)
    } else if (this.body) this.body.render(text, growing)
    else if (this.content.textContent !== text) this.content.textContent = text
  }

  redrawText(): void {
    this.body?.invalidate()
    this.drawText()
    this.marked = "" // the marked nodes may be gone
    this.drawMarks()
  }

  get hasWaitingMath(): boolean {
    return this.content.querySelector(".tk-math-wait") !== null
  }

  get hasDiagram(): boolean {
    return this.content.querySelector(".tk-diagram, .tk-diagram-wait") !== null
  }

  /** The live line: phase, progress, speed, stall and the stop button. */
  drawStatus(now: number): void {
    const live = this.live
    if (!live || live.ended) {
      if (this.statusSignature) {
        this.status.hidden = true
        this.status.replaceChildren()
        this.statusSignature = ""
      }
      return
    }
    const signature = `${live.queued}|${live.stopping}|${this.around.options.lang}`
    if (signature !== this.statusSignature) {
      this.statusSignature = signature
      this.status.hidden = false
      const button = h("button", {
        type: "button",
        class: live.queued ? "tk-button tk-quiet" : "tk-button tk-stop",
        "data-do": live.queued ? "cancel" : "stop",
        title: live.queued ? this.text("cancel") : this.text("stop_hint"),
        disabled: live.stopping,
      })
      button.innerHTML = icon(live.queued ? "cancel" : "stop")
      button.append(h("span", {}, this.text(live.stopping ? "live.stopping" : live.queued ? "cancel" : "stop")))
      const bar = h("span", { class: "tk-bar", hidden: true }, h("span", { class: "tk-bar-fill" }))
      this.status.replaceChildren(
        h("span", { class: live.queued ? "tk-dot tk-dot-still" : "tk-dot", "aria-hidden": "true" }),
        h("span", { class: "tk-phase" }),
        bar,
        h("span", { class: "tk-numbers" }),
        button,
      )
    }
    const [phase, bar, numbers] = [this.status.children[1], this.status.children[2], this.status.children[3]] as HTMLElement[]
    const stalled = live.stalledSeconds(now)
    put(phase!, stalled ? this.stall(live, stalled) : this.phase(live))
    this.status.classList.toggle("tk-stalled", stalled > 0)
    const progress = live.waiting && !live.queued ? live.job.progress : null
    bar!.hidden = progress === null || progress === undefined
    if (!bar!.hidden) (bar!.firstElementChild as HTMLElement).style.transform = `scaleX(${Math.min(1, Math.max(0, progress ?? 0))})`
    put(numbers!, live.waiting ? "" : this.numbers(live, now))
  }

  private stall(live: LiveAnswer, seconds: number): string {
    const state = stallState(live.guard)
    const known = state === "slow" || state === "engine_hung" ? this.around.texts[`guard.stall.${state}.title`] : null
    return known ? fill(known, { gap_s: Math.floor(seconds) }) : fill(this.text("phase.stalled"), { n: Math.floor(seconds) })
  }

  private phase(live: LiveAnswer): string {
    const { job } = live
    if (live.queued) return this.text("phase.queued")
    if (job.phase === "generating") return live.unsaved ? this.text("phase.unsaved") : this.text("phase.generating")
    if (job.phase === "prompt") {
      if (job.progress !== null && job.progress >= 1) return this.text("phase.first")
      if (job.prompt_tokens && job.progress !== null) {
        const done = Math.round(job.prompt_tokens * job.progress)
        return fill(this.text("phase.prompt_count"), { done, total: job.prompt_tokens })
      }
      return this.text("phase.prompt")
    }
    const label = this.text(`phase.${job.phase ?? "starting"}`)
    if (job.phase === "loading" && job.progress !== null) {
      return fill(this.text("phase.percent"), { label, n: Math.round(job.progress * 100) })
    }
    return label
  }

  private numbers(live: LiveAnswer, now: number): string {
    const parts = [fill(this.text("footer.tokens"), { n: live.tokens })]
    const speed = live.speed(now)
    if (speed) parts.push(fill(this.text("footer.speed"), { n: short(speed) }))
    return parts.join(" · ")
  }

  private drawFoot(growing: boolean): void {
    const { message } = this
    const shown = this.settled()
    const signature = JSON.stringify([
      growing, this.editing, message.ways, message.unanswered, message.version, message.versions, message.excluded, message.error, message.recover, message.tags,
      message.max_new_tokens, message.context, shown, this.around.options.lang, this.around.options.actions,
      this.live?.queued, this.opened, message.changed, message.cut_at, this.element.classList.contains("tk-last"), message.removed?.map((text) => text.length),
    ])
    if (signature === this.footSignature) return
    this.footSignature = signature
    this.foot.replaceChildren()
    if (this.editing) return
    if (message.role === "assistant") {
      if (!growing) this.drawChanges(shown.finish)
      this.drawGuard(shown.guard, shown.decay, growing, shown.finish)
    }
    if (!growing && message.role === "assistant") this.drawBanner(shown.finish, shown.guard)
    const row = h("div", { class: "tk-row" })
    if ((message.versions ?? 1) > 1) row.append(this.versionSwitch())
    if (message.excluded) row.append(h("span", { class: "tk-chip" }, this.text("excluded")))
    if (message.unanswered) row.append(this.wordedButton("answer"))
    if (!growing && message.state !== "queued") row.append(this.actions(shown.finish))
    if (!growing && message.role === "assistant") row.append(this.figures(shown))
    if (row.childElementCount) this.foot.append(row)
    this.drawReading()
  }

  /** What is known of the finished answer: the stored figures, else those of the live end. */
  private settled() {
    const { message, live } = this
    const finish = live?.ended ? live.finish : (message.finish_reason ?? null)
    return {
      finish: finish ?? (message.state === "interrupted" ? "interrupted" : message.state === "failed" ? "error" : null),
      usage: live?.ended && live.usage ? live.usage : (message.usage ?? null),
      timings: live?.ended && live.timings ? live.timings : (message.timings ?? null),
      guard: live ? live.guard : (message.guard ?? []),
      decay: (live && !live.ended ? live.decay : message.decay) ?? live?.decay ?? null,
    }
  }

  private drawGuard(guard: Guard[], decay: Decay | null, growing: boolean, finish: string | null): void {
    const { message } = this
    const content = [...(this.live?.text ?? message.content)]
    const shown = loudest(guard, growing).filter((event) => event.level !== "stop" || !(finish === "guard" || message.changed?.length)) // said by the banner, or mended
    const chips = h("div", { class: "tk-chips" })
    for (const event of shown) chips.append(chip(event, describe(event, this.around.texts), event.kind === this.opened))
    if (shown.length) this.foot.append(chips)
    const opened = shown.find((event) => event.kind === this.opened)
    if (opened) {
      const passages = opened.kind === "uncertainty" ? stretches(guard).map(({ start, end }) => excerpt(content, start, end)) : []
      this.foot.append(guardPanel(describe(opened, this.around.texts), passages))
    }
    const line = decay ? sparkline(decay, content.length, this.around.texts) : null
    if (line) {
      if (!growing && message.cut_at && this.element.classList.contains("tk-last")) line.append(this.cutButton())
      this.foot.append(line)
    }
  }

  private cutButton(): HTMLElement {
    return h(
      "button",
      { type: "button", class: "tk-button", "data-do": "cut_back", title: this.text("guard.decay.cut_help") },
      this.text("guard.decay.cut"),
    )
  }

  /** What “continue differently” changed, and what had been cut off before it. */
  private drawChanges(finish: string | null): void {
    const { message } = this
    if (!message.changed?.length) return
    const chinese = this.around.options.lang === "zh"
    const line = h("div", { class: "tk-changed" }, h("span", {}, describeChanges(message.changed, this.around.texts, chinese)))
    const earlier = finish === "guard" ? message.removed?.slice(0, -1) : message.removed
    for (const text of earlier ?? []) line.append(removedTail(text, this.around.texts))
    this.foot.append(line)
  }

  /** Mark where the model itself was unsure, in the text that is settled. */
  private drawMarks(): void {
    if (!this.body || this.form) return
    const growing = Boolean(this.live && !this.live.ended)
    const passages = growing ? [] : stretches(this.settled().guard)
    const signature = passages.length ? JSON.stringify(passages) + this.message.content.length : ""
    if (signature === this.marked) return
    this.marked = signature
    markStretches(this.content, this.live?.text ?? this.message.content, passages)
  }

  private drawBanner(finish: string | null, guard: Guard[]): void {
    if (!finish || !CUT.has(finish)) return
    const { message } = this
    const failed = finish === "error"
    const bad = failed || finish === "interrupted"
    const text = h("div", { class: "tk-banner-text" }, h("p", {}, this.bannerText(finish)))
    if (failed && message.error?.hint) text.append(h("p", { class: "tk-hint" }, message.error.hint))
    const tail = finish === "guard" || message.cut_back ? message.removed?.at(-1) : null
    if (finish === "guard") {
      const stop = guard.findLast((event) => event.level === "stop")
      if (stop) {
        const reason = describe(stop, this.around.texts)
        text.replaceChildren(h("p", {}, reason.title), h("p", { class: "tk-hint" }, `${reason.detail} ${reason.next}`))
      }
    }
    if (tail) text.append(removedTail(tail, this.around.texts))
    const banner = h("div", { class: `tk-banner ${bad ? "tk-banner-bad" : ""}`, role: "note" })
    banner.innerHTML = icon(bad ? "warn" : finish === "guard" ? "loop" : "cut")
    banner.append(text)
    const begun = (this.live?.text ?? message.content) !== ""
    const kind = begun ? "continue" : "regenerate"
    const looped = guard.some((event) => event.kind === "loop" && event.level !== "note")
    if (begun && (finish === "guard" || (finish === "cancelled" && looped))) {
      banner.append(
        h("button", { type: "button", class: "tk-button tk-strong", "data-do": "continue_differently" }, this.text("guard.retry.button")),
      )
    }
    banner.append(
      h(
        "button",
        { type: "button", class: "tk-button", "data-do": kind },
        this.text(begun ? "action.continue_long" : "action.retry"),
      ),
    )
    if (failed && message.recover) this.offerRecovery(banner)
    if (failed && message.ways) banner.querySelector("button")?.before(this.wordedButton("ways", "tk-strong"))
    this.foot.append(banner)
  }

  private wordedButton(kind: string, look = ""): HTMLElement {
    return h("button", { type: "button", class: `tk-button ${look}`, "data-do": kind }, this.text(`action.${kind}`))
  }

  /** Mark the words a person searched for, and the message that has them, until it is clicked. */
  showFound(words: string[]): void {
    this.element.classList.add("tk-found")
    this.element.addEventListener("pointerdown", () => this.element.classList.remove("tk-found"), { once: true })
    markWords(this.content, words)
  }

  /** Memory ran out: one button for all recovery steps, one for taking them by hand. */
  private offerRecovery(banner: HTMLElement): void {
    const first = banner.querySelector("button")
    const button = (kind: string) => h("button", { type: "button", class: "tk-button", "data-do": kind }, this.text(`action.${kind}`))
    first?.before(button("recover"))
    first?.replaceWith(button("recover_steps"))
  }

  private bannerText(finish: string): string {
    const { message } = this
    if (finish === "error" && message.error?.message) return message.error.message
    if (message.structured?.cut && finish !== "guard") return message.structured.cut
    if (message.cut_back && finish === "cancelled") return this.text("guard.decay.was_cut")
    const n = finish === "length" ? message.max_new_tokens : finish === "context" ? message.context : null
    if (finish === "length" || finish === "context") {
      return n ? fill(this.text(`banner.${finish}`), { n }) : this.text(`banner.${finish}_unknown`)
    }
    return this.text(`banner.${finish}`)
  }

  private versionSwitch(): HTMLElement {
    const version = this.message.version ?? 1
    const versions = this.message.versions ?? 1
    const arrow = (name: string, step: number, possible: boolean) => {
      const button = h("button", {
        type: "button",
        class: "tk-icon-button",
        "data-do": "version",
        "data-step": step,
        title: this.text(`action.${name}`),
        "aria-label": this.text(`action.${name}`),
        disabled: !possible,
      })
      button.innerHTML = icon(name)
      return button
    }
    return h(
      "span",
      { class: "tk-versions", role: "group", "aria-label": fill(this.text("version"), { n: version, of: versions }) },
      arrow("previous", -1, version > 1),
      h("span", {}, `${version}/${versions}`),
      arrow("next", 1, version < versions),
    )
  }

  private actions(finish: string | null): HTMLElement {
    const { message } = this
    const chosen = this.around.options.actions?.[message.role]
    const names = chosen ?? (message.role === "user" ? USER_ACTIONS : ASSISTANT_ACTIONS)
    const group = h("span", { class: "tk-actions", role: "group" })
    for (const name of names) {
      if (name === "continue" && !(finish && CUT.has(finish))) continue
      if (name === "speak" && !(this.live?.text ?? message.content)) continue
      const button = h("button", {
        type: "button",
        class: "tk-icon-button",
        "data-do": name,
        title: this.text(`action.${name}`),
        "aria-label": this.text(`action.${name}`),
      })
      button.innerHTML = icon(name)
      group.append(button)
    }
    return group
  }

  private figures(shown: ReturnType<MessageView["settled"]>): HTMLElement {
    const parts: string[] = []
    const { usage, timings, finish } = shown
    if (usage?.completion_tokens) parts.push(fill(this.text("footer.tokens"), { n: usage.completion_tokens }))
    if (timings?.total_s) parts.push(fill(this.text("footer.seconds"), { n: short(timings.total_s) }))
    if (timings?.tok_per_s) parts.push(fill(this.text("footer.speed"), { n: short(timings.tok_per_s) }))
    if (timings?.ttft_s) parts.push(fill(this.text("footer.ttft"), { n: short(timings.ttft_s) }))
    if (finish) parts.push(this.text(`finish.${finish}`))
    const line = h("span", { class: "tk-figures" }, parts.join(" · "))
    for (const tag of this.message.tags ?? []) line.prepend(h("span", { class: "tk-chip tk-tag" }, tag))
    return line
  }

  private readonly clicked = (event: Event): void => {
    const button = (event.target as Element).closest("[data-do]")
    if (!(button instanceof HTMLElement)) return
    const kind = button.dataset.do ?? ""
    const { id } = this.message
    if (kind === "copy-code") void this.copy(button.closest(".tk-code")?.querySelector("code")?.textContent ?? "", button)
    else if (kind === "wrap-code") button.closest(".tk-code")?.classList.toggle("tk-wrapped")
    else if (kind === "save-code") saveCode(button.closest(".tk-code"))
    else if (kind === "turn-diagram") {
      turn(button.closest(".tk-code")?.querySelector("code")?.textContent ?? "")
      this.redrawText()
    }
    else if (kind === "copy") void this.copy(this.live?.text ?? this.message.content, button)
    else if (kind === "speak") void this.speak()
    else if (kind === "edit") this.edit()
    else if (kind === "raw") {
      this.form?.turn()
      this.drawText()
    }
    else if (kind === "stop" || kind === "cancel") this.around.stop(id)
    else if (kind === "guard_panel") {
      const chosen = button.dataset.kind ?? ""
      this.opened = this.opened === chosen ? "" : chosen
      this.drawFoot(Boolean(this.live && !this.live.ended))
      this.foot.querySelector<HTMLElement>(`[data-kind="${chosen}"]`)?.focus()
    }
    else if (kind === "version") {
      const step = Number(button.dataset.step)
      this.around.act({ type: "version", message: id, step, version: (this.message.version ?? 1) + step })
    } else this.around.act({ type: kind, message: id })
  }

  /** Read the answer aloud, or stop; where this computer has no voice for its language, say so. */
  private async speak(): Promise<void> {
    if (reader.reading === this.id) return reader.stop()
    const language = languageOf(this.content)
    this.unread = ""
    const started = reader.start(this.id, this.content, language, () => this.drawReading())
    this.drawReading()
    if (!(await started)) this.unread = this.text(language === "zh" ? "speech.no_chinese" : "speech.no_english")
    this.drawReading()
  }

  private drawReading(): void {
    const button = this.foot.querySelector<HTMLElement>('[data-do="speak"]')
    if (!button) return
    const reading = reader.reading === this.id
    button.innerHTML = icon(reading ? "stop" : "speak")
    button.title = this.text(reading ? "speech.stop" : "action.speak")
    button.setAttribute("aria-pressed", String(reading))
    this.foot.querySelector(".tk-unread")?.remove()
    if (this.unread) button.parentElement?.after(h("span", { class: "tk-figures tk-unread", role: "alert" }, this.unread))
  }

  private async copy(text: string, button: HTMLElement): Promise<void> {
    if (!(await copyText(text))) return
    const code = button.dataset.do === "copy-code"
    const before = button.innerHTML
    if (code) button.textContent = this.text("action.copied")
    else button.innerHTML = icon("check")
    button.classList.add("tk-done")
    setTimeout(() => {
      button.classList.remove("tk-done")
      button.innerHTML = before
    }, 1400)
  }

  /** Let a person change the question where it stands. */
  edit(): void {
    if (this.editing) return
    const before = document.activeElement
    this.editing = true
    const area = h("textarea", {
      class: "tk-editor",
      "aria-label": this.text("edit_label"),
      rows: Math.min(14, Math.max(2, this.message.content.split("\n").length + 1)),
    }) as HTMLTextAreaElement
    area.value = this.message.content
    const end = (text: string | null) => {
      this.editing = false
      this.content.replaceChildren()
      this.element.classList.remove("tk-editing")
      this.update(this.message, this.live, this.element.classList.contains("tk-last"))
      if (text !== null) this.around.act({ type: "edit", message: this.message.id, text })
      if (before instanceof HTMLElement) before.focus({ preventScroll: true })
    }
    const save = () => {
      const text = area.value.trim()
      if (text) end(area.value)
    }
    area.addEventListener("keydown", (event) => {
      event.stopPropagation() // Streamlit's own shortcuts must not fire while a person writes
      if (event.isComposing || event.keyCode === 229) return // the key belongs to an input method
      if (event.key === "Escape") end(null)
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save()
    })
    this.element.classList.add("tk-editing")
    this.content.replaceChildren(
      area,
      h(
        "div",
        { class: "tk-editor-row" },
        h("span", { class: "tk-figures" }, this.text("save_hint")),
        h("button", { type: "button", class: "tk-button tk-quiet", onclick: () => end(null) }, this.text("cancel")),
        h("button", { type: "button", class: "tk-button tk-primary", onclick: save }, this.text("save")),
      ),
    )
    this.drawFoot(false)
    area.focus()
    area.setSelectionRange(area.value.length, area.value.length)
  }

  private text(key: string): string {
    return this.around.texts[key] ?? key
  }
}

function stretches(guard: Guard[]): Stretch[] {
  return guard
    .filter((event) => event.kind === "uncertainty")
    .map((event) => ({ start: Number(event.data?.start), end: Number(event.data?.end) }))
    .filter(({ start, end }) => end > start)
}

function excerpt(points: string[], start: number, end: number): string {
  const text = points.slice(start, end).join("").replace(/\s+/g, " ").trim()
  return text.length > 160 ? `${text.slice(0, 157)}…` : text
}

function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function short(value: number): string {
  if (value < 0.01) return "0.01"
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2).replace(/0$/, "")
}

const ENDINGS: Record<string, string> = {
  python: "py", javascript: "js", typescript: "ts", bash: "sh", shell: "sh", sh: "sh", markdown: "md", rust: "rs", ruby: "rb", kotlin: "kt",
  csharp: "cs", yaml: "yaml", json: "json", html: "html", css: "css", sql: "sql", java: "java", go: "go", c: "c", cpp: "cpp", "c++": "cpp", toml: "toml", mermaid: "mmd",
}

/** Save the code of a block as a file whose ending follows from its language. */
function saveCode(block: Element | null | undefined): void {
  const language = block?.querySelector(".tk-code-head span")?.textContent ?? ""
  const address = URL.createObjectURL(new Blob([block?.querySelector("code")?.textContent ?? ""], { type: "text/plain" }))
  const link = h("a", { href: address, download: `code.${ENDINGS[language] ?? "txt"}` })
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}
