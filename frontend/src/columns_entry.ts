// Entry point of the component "columns".
import katexCss from "virtual:katex-css"
import { Columns, type ColumnsData } from "./columns"
import columnsCss from "./columns.css"
import { mounted } from "./mount"
import css from "./style.css"

export default mounted<ColumnsData>([katexCss, css, columnsCss], (parent) => new Columns(parent))
