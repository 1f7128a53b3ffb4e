// Builds the components into the Python package: one file each, KaTeX with its fonts and mermaid, both lazily
// loaded, and the licences of everything that was bundled.
import { build, transform } from "esbuild"
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))
const out = process.env.OUT ?? join(here, "../src/twokeys/web/component/frontend")
const katex = join(here, "node_modules/katex/dist")

const faceRule = /@font-face\{[^}]*\}/g

function katexFaces() {
  const css = readFileSync(join(katex, "katex.min.css"), "utf8")
  return (css.match(faceRule) ?? []).map((rule) => ({
    family: /font-family:([^;}]+)/.exec(rule)[1].replaceAll('"', ""),
    style: /font-style:([^;}]+)/.exec(rule)[1],
    weight: /font-weight:([^;}]+)/.exec(rule)[1],
    file: /fonts\/([\w-]+\.woff2)/.exec(rule)[1],
  }))
}

const styles = {
  name: "styles",
  setup(builder) {
    builder.onResolve({ filter: /^virtual:/ }, (args) => ({ path: args.path, namespace: "virtual" }))
    builder.onLoad({ filter: /katex-faces/, namespace: "virtual" }, () => ({
      contents: JSON.stringify(katexFaces()),
      loader: "json",
    }))
    builder.onLoad({ filter: /katex-css/, namespace: "virtual" }, () => ({
      contents: readFileSync(join(katex, "katex.min.css"), "utf8").replace(faceRule, ""),
      loader: "text",
    }))
    builder.onLoad({ filter: /\.css$/, namespace: "file" }, async (args) => ({
      contents: (await transform(readFileSync(args.path, "utf8"), { loader: "css", minify: true })).code,
      loader: "text",
    }))
  },
}

/** Mermaid without its largest layout: whatever asks for ELK is laid out by dagre. */
const layouts = {
  name: "layouts",
  setup(builder) {
    builder.onResolve({ filter: /\/elk-\w+\.mjs$/ }, (args) => {
      const dagre = readdirSync(args.resolveDir).find((file) => /^dagre-\w+\.mjs$/.test(file))
      return dagre ? { path: join(args.resolveDir, dagre) } : { errors: [{ text: "mermaid has no dagre layout" }] }
    })
  },
}

rmSync(out, { recursive: true, force: true })
mkdirSync(join(out, "fonts"), { recursive: true })
const result = await build({
  absWorkingDir: here,
  entryPoints: {
    transcript: join(here, "src/index.ts"),
    columns: join(here, "src/columns_entry.ts"),
    heatmap: join(here, "src/heatmap_entry.ts"),
    thermometer: join(here, "src/thermometer_entry.ts"),
    draft: join(here, "src/draft_entry.ts"),
    shell: join(here, "src/shell_entry.ts"),
    palette: join(here, "src/palette_entry.ts"),
    dictation: join(here, "src/dictation_entry.ts"),
  },
  outdir: out,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: process.env.MINIFY !== "0",
  charset: "utf8",
  legalComments: "none",
  chunkNames: "[name]-[hash]",
  metafile: true,
  alias: { katex: "katex" }, // mermaid would bring another version
  plugins: [styles, layouts],
})
for (const face of katexFaces()) copyFileSync(join(katex, "fonts", face.file), join(out, "fonts", face.file))

const bundled = new Set(["node_modules/katex"])
for (const input of Object.keys(result.metafile.inputs)) {
  const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)
  if (folder) bundled.add(folder[0])
}
const notices = [...bundled].sort().map((name) => {
  const folder = join(here, name)
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const licence = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file))
  if (!licence) throw new Error(`${name} has no licence file`)
  return `${about.name} ${about.version} (${about.license})\n\n${readFileSync(join(folder, licence), "utf8").trim()}\n`
})
const rule = `\n${"-".repeat(80)}\n\n`
writeFileSync(
  join(out, "THIRD_PARTY_NOTICES.txt"),
  `The files in this folder contain the following libraries.\n${rule}${notices.join(rule)}`,
)
for (const [file, about] of Object.entries(result.metafile.outputs)) {
  console.log(relative(out, join(here, file)).padEnd(34), `${(about.bytes / 1024).toFixed(0)} KiB`)
}
