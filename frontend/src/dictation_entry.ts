// Entry point of the component "dictation".
import { Dictation, type DictationData } from "./dictation"
import { mounted } from "./mount"
import css from "./style.css"

export default mounted<DictationData>([css], (parent) => new Dictation(parent))
