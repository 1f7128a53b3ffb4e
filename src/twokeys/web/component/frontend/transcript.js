export default function ({ data, parentElement }) {
  let root = parentElement.querySelector(".tk-root") ?? parentElement.appendChild(Object.assign(document.createElement("div"), { className: "tk-root" }))
  root.replaceChildren(...data.messages.map((m) => Object.assign(document.createElement("p"), { textContent: m.content })))
}
