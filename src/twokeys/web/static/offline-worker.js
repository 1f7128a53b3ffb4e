// Keeps one small page in the browser, which says that TwoKeys does not answer, and nothing else.
const NOTICE = new URL("./twokeys/offline", self.location.href).href
const KEPT = "twokeys-offline"
const AWAY = [502, 503, 504] // what a proxy says when nobody is behind it

async function keep() {
  const notice = await fetch(NOTICE, { cache: "no-cache" })
  if (!notice.ok || notice.redirected) throw new Error("the notice is behind a closed door")
  await (await caches.open(KEPT)).put(NOTICE, notice)
}

async function reach(request) {
  let answer
  try {
    answer = await fetch(request)
    if (!AWAY.includes(answer.status)) return answer
  } catch {
    answer = Response.error()
  }
  return (await caches.match(NOTICE)) ?? answer
}

self.addEventListener("install", (event) => {
  self.skipWaiting()
  event.waitUntil(keep())
})
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()))
self.addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate") event.respondWith(reach(event.request))
})
