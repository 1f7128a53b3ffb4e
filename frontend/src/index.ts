// Entry point of the component "transcript".
import katexCss from "virtual:katex-css"
import { mounted } from "./mount"
import css from "./style.css"
import { Transcript } from "./transcript"
import type { Data } from "./types"

export default mounted<Data>([katexCss, css], (parent) => new Transcript(parent))
