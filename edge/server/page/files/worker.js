// Keep the page itself for times when the server is off: conversations can then still be read and exported.
// What the server has is newer, so it is asked first.

const KEPT = "edge-page-1";
const PAGE = "/";
const FILES = [
  "answer.js", "app.js", "app.webmanifest", "blocks.js", "boxes.js", "chat.js", "composer.js", "conversation.js",
  "dom.js", "icon.png", "icon.svg", "kept.js", "markdown.js", "media.js", "question.js", "settings.js", "sidebar.js",
  "store.js", "stream.js", "style.css", "transfer.js", "view.js", "words.js",
].map((name) => `/page/${name}`);

self.addEventListener("install", (event) => {
  event.waitUntil(keepAll());
  self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname;
  const isOurs = path === PAGE || path.startsWith("/page/");
  if (request.method === "GET" && isOurs) event.respondWith(answer(request, path));
});

async function keepAll() {
  const cache = await caches.open(KEPT);
  await cache.addAll(FILES);
  // Without this header the server takes the caller for a program.
  await cache.put(PAGE, await fetch(PAGE, { headers: { accept: "text/html" } }));
}

async function takeOver() {
  for (const name of await caches.keys()) if (name !== KEPT) await caches.delete(name);
  await self.clients.claim();
}

async function answer(request, path) {
  const cache = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(path, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(path);
    if (kept) return kept;
    throw error;
  }
}
