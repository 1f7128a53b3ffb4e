// JSON as far as it is written. Numbers keep the digits they are written with, every part says whether it is
// closed, and a text that cannot become JSON is read up to its mistake. Never throws.

export type JsonNode =
  | { kind: "object"; members: [string, JsonNode][]; closed: boolean }
  | { kind: "array"; items: JsonNode[]; closed: boolean }
  | { kind: "string" | "number" | "boolean" | "null"; text: string; closed: boolean }

export interface JsonReading {
  /** null where nothing can be read yet. */
  node: JsonNode | null
  /** What follows the value is not JSON, however the text goes on. */
  broken: boolean
}

const DEEPEST = 60
const NUMBER = /-?\d*\.?\d*(?:[eE][+-]?\d*)?/y
const WORDS = ["true", "false", "null"]
const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }

export function readJson(text: string): JsonReading {
  const reader = new Reader(text)
  const node = reader.value(0)
  reader.space()
  return { node, broken: reader.broken || (node !== null && node.closed && !reader.ended) }
}

class Reader {
  broken = false
  private at = 0

  constructor(private readonly text: string) {}

  get ended(): boolean {
    return this.at >= this.text.length
  }

  space(): void {
    while (/[ \t\r\n]/.test(this.text[this.at] ?? "x")) this.at += 1
  }

  value(depth: number): JsonNode | null {
    this.space()
    const first = this.text[this.at]
    if (first === undefined) return null
    if (depth > DEEPEST) return this.fail()
    if (first === "{") return this.object(depth)
    if (first === "[") return this.array(depth)
    if (first === '"') return this.string()
    if (first === "-" || (first >= "0" && first <= "9")) return this.number()
    return this.word()
  }

  private fail(): null {
    this.broken = true
    return null
  }

  private object(depth: number): JsonNode {
    const members: [string, JsonNode][] = []
    const closed = this.parts("}", () => {
      const name = this.text[this.at] === '"' ? this.string() : this.fail()
      if (!name?.closed) return false
      this.space()
      if (!this.take(":")) return false
      const inner = this.value(depth + 1)
      if (inner) members.push([name.text, inner])
      return inner?.closed ?? false
    })
    return { kind: "object", members, closed }
  }

  private array(depth: number): JsonNode {
    const items: JsonNode[] = []
    const closed = this.parts("]", () => {
      const inner = this.value(depth + 1)
      if (inner) items.push(inner)
      return inner?.closed ?? false
    })
    return { kind: "array", items, closed }
  }

  /** Read what stands between brackets, separated by commas. `part` says whether to go on after it. */
  private parts(end: string, part: () => boolean): boolean {
    this.at += 1
    this.space()
    if (this.text[this.at] === end) {
      this.at += 1
      return true
    }
    while (!this.ended) {
      if (!part()) return false
      this.space()
      if (this.text[this.at] === end) {
        this.at += 1
        return true
      }
      if (!this.take(",")) return false
      this.space()
    }
    return false
  }

  private take(mark: string): boolean {
    if (this.text[this.at] === mark) {
      this.at += 1
      return true
    }
    if (!this.ended) this.broken = true
    return false
  }

  private string(): { kind: "string"; text: string; closed: boolean } {
    let read = ""
    this.at += 1
    while (!this.ended) {
      const char = this.text[this.at]!
      this.at += 1
      if (char === '"') return { kind: "string", text: read, closed: true }
      if (char !== "\\") {
        read += char
        continue
      }
      const escaped = this.text[this.at]
      if (escaped === "u") {
        const digits = this.text.slice(this.at + 1, this.at + 5)
        if (digits.length < 4) this.at = this.text.length
        else read += String.fromCharCode(parseInt(digits, 16) || 0xfffd)
        this.at += 5
      } else if (escaped !== undefined) {
        read += ESCAPES[escaped] ?? escaped
        this.at += 1
      }
    }
    return { kind: "string", text: read, closed: false }
  }

  private number(): JsonNode {
    NUMBER.lastIndex = this.at
    const read = NUMBER.exec(this.text)?.[0] ?? ""
    this.at += read.length
    return { kind: "number", text: read, closed: !this.ended }
  }

  private word(): JsonNode | null {
    const rest = this.text.slice(this.at, this.at + 5)
    const word = WORDS.find((word) => rest.startsWith(word))
    if (word) {
      this.at += word.length
      return { kind: word === "null" ? "null" : "boolean", text: word, closed: true }
    }
    const begun = WORDS.some((word) => word.startsWith(rest))
    this.at = begun ? this.text.length : this.at
    return begun ? null : this.fail()
  }
}
