// Entry point of the component "heatmap".
import { Heatmap, type LensData } from "./heatmap"
import lensCss from "./lens.css"
import { mounted } from "./mount"
import css from "./style.css"

export default mounted<LensData>([css, lensCss], (parent) => new Heatmap(parent))
