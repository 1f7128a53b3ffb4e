// Entry point of the component "palette".
import { mounted } from "./mount"
import { Palette, type PaletteData } from "./palette"
import paletteCss from "./palette.css"
import css from "./style.css"

export default mounted<PaletteData>([css, paletteCss], (parent) => new Palette(parent))
