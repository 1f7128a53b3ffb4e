// Syntax colours for the languages people ask a model about. Unknown languages stay plain.
import hljs from "highlight.js/lib/core"
import bash from "highlight.js/lib/languages/bash"
import c from "highlight.js/lib/languages/c"
import cpp from "highlight.js/lib/languages/cpp"
import csharp from "highlight.js/lib/languages/csharp"
import css from "highlight.js/lib/languages/css"
import diff from "highlight.js/lib/languages/diff"
import dockerfile from "highlight.js/lib/languages/dockerfile"
import go from "highlight.js/lib/languages/go"
import ini from "highlight.js/lib/languages/ini"
import java from "highlight.js/lib/languages/java"
import javascript from "highlight.js/lib/languages/javascript"
import json from "highlight.js/lib/languages/json"
import kotlin from "highlight.js/lib/languages/kotlin"
import lua from "highlight.js/lib/languages/lua"
import makefile from "highlight.js/lib/languages/makefile"
import markdown from "highlight.js/lib/languages/markdown"
import php from "highlight.js/lib/languages/php"
import python from "highlight.js/lib/languages/python"
import r from "highlight.js/lib/languages/r"
import ruby from "highlight.js/lib/languages/ruby"
import rust from "highlight.js/lib/languages/rust"
import sql from "highlight.js/lib/languages/sql"
import swift from "highlight.js/lib/languages/swift"
import typescript from "highlight.js/lib/languages/typescript"
import xml from "highlight.js/lib/languages/xml"
import yaml from "highlight.js/lib/languages/yaml"

const languages = {
  bash, c, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, kotlin, lua, makefile,
  markdown, php, python, r, ruby, rust, sql, swift, typescript, xml, yaml,
}
for (const [name, definition] of Object.entries(languages)) hljs.registerLanguage(name, definition)
hljs.registerAliases(["shell", "console", "shell-session", "powershell", "ps1"], { languageName: "bash" })
hljs.registerAliases(["toml"], { languageName: "ini" })
hljs.registerAliases(["vue", "svelte"], { languageName: "xml" })
hljs.configure({ classPrefix: "hl-" })

const MOST_CHARACTERS = 60_000
const cached = new Map<string, string>()

/** Return safe HTML of the code with colours, or null when the language is unknown or the code huge. */
export function highlight(code: string, language: string): string | null {
  if (!language || code.length > MOST_CHARACTERS || !hljs.getLanguage(language)) return null
  const key = `${language}\n${code}`
  let html = cached.get(key)
  if (html === undefined) {
    html = hljs.highlight(code, { language, ignoreIllegals: true }).value
    if (cached.size > 60) cached.delete(cached.keys().next().value as string)
    cached.set(key, html)
  }
  return html
}
