// Entry point of the component "shell".
import { mounted } from "./mount"
import { Shell, type ShellData } from "./shell"

export default mounted<ShellData>([], () => new Shell())
