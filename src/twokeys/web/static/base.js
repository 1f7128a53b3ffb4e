// Streamlit looks for its server below every part of the address and logs each wrong guess as a 404.
// All our pages lie side by side, so the server is where the last part of the address begins.
window.__streamlit = { BACKEND_BASE_URL: new URL("./", window.location.href).href }
