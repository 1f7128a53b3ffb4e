// Entry point of the component "draft".
import { Draft, type DraftData } from "./draft"
import { mounted } from "./mount"

export default mounted<DraftData>([], () => new Draft())
