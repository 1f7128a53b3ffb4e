// Streamlit looks for its server below every part of the address and logs each wrong guess as a 404.
// All our pages lie side by side, so the server is where the last part of the address begins.
window.__streamlit = { BACKEND_BASE_URL: new URL("./", window.location.href).href }

// Where Ctrl or ⌘ and Enter sends, Enter alone begins a new line. Our component sees to that (draft.ts); until it
// is loaded this does, because Streamlit sends on Enter.
addEventListener(
  "keydown",
  (event) => {
    const box = event.target instanceof Element && event.target.closest(".st-key-chat_send textarea")
    if (!box || event.key !== "Enter" || event.shiftKey || event.isComposing) return
    const root = document.documentElement
    if (root.hasAttribute("data-tk-draft") || getComputedStyle(root).getPropertyValue("--tk-send-key") !== "ctrl_enter") return
    event.stopPropagation()
    if (!event.ctrlKey && !event.metaKey) return
    event.preventDefault()
    box.closest('[data-testid="stChatInput"]')?.querySelector('[data-testid="stChatInputSubmitButton"]')?.click()
  },
  true,
)

// What a person types before our component reads along: it is told from what the page itself put into the box.
addEventListener(
  "input",
  (event) => {
    if (event.target instanceof Element && event.target.matches(".st-key-chat_send textarea")) document.documentElement.dataset.tkTyped = ""
  },
  true,
)

// A notice for when the server does not answer; a browser without such workers, or that refuses them, has none.
addEventListener("load", () => navigator.serviceWorker?.register("./offline-worker.js").catch(() => undefined))
