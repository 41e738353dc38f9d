// Keep conversations in this browser: IndexedDB, pictures and videos as blobs beside them.

import { merged } from "./conversation.js";

const NAME = "edge";
const VERSION = 1;
const UNSENT_MS = 24 * 3600 * 1000; // what another window attached may still be sent
const windows = new BroadcastChannel(NAME);

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      request.result.createObjectStore("media", { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function run(stores, mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(stores, mode);
    let result;
    transaction.oncomplete = () => resolve(result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
    const request = work(...stores.map((name) => transaction.objectStore(name)));
    if (request) request.onsuccess = () => (result = request.result);
  });
}

/** List all conversations, the latest first. */
export async function listConversations() {
  const all = await run(["conversations"], "readonly", (store) => store.getAll());
  return all.sort((one, other) => other.updated_ms - one.updated_ms);
}

/** Return a conversation, or undefined. */
export function loadConversation(id) {
  return run(["conversations"], "readonly", (store) => store.get(id));
}

/** Write a conversation; messages that another window wrote meanwhile stay. */
export async function saveConversation(conversation) {
  const copy = structuredClone(conversation);
  await run(["conversations"], "readwrite", (store) => {
    const reading = store.get(copy.id);
    reading.onsuccess = () => store.put(merged(reading.result, copy));
  });
  windows.postMessage({ saved: copy.id });
}

/** Hear of what other windows do: `listener({saved: id})` or `listener({deleted: id})`. */
export function listenToWindows(listener) {
  windows.addEventListener("message", (event) => listener(event.data));
}

/** Delete a conversation and its media. */
export async function deleteConversation(conversation) {
  await run(["conversations", "media"], "readwrite", (conversations, media) => {
    for (const node of Object.values(conversation.nodes)) for (const id of node.media) media.delete(id);
    conversations.delete(conversation.id);
  });
  windows.postMessage({ deleted: conversation.id });
}

/** Write a picture, video or file: {id, kind, name, type, blob}. */
export function saveMedium(medium) {
  return run(["media"], "readwrite", (store) => store.put({ ...medium, added_ms: Date.now() }));
}

/** Delete a picture, video or file. */
export function deleteMedium(id) {
  return run(["media"], "readwrite", (store) => store.delete(id));
}

/** Delete media that were attached a day ago or more and never sent. */
export async function sweepMedia() {
  const all = await listConversations();
  const used = new Set(all.flatMap((one) => Object.values(one.nodes).flatMap((node) => node.media)));
  await run(["media"], "readwrite", (store) => {
    const walking = store.openCursor();
    walking.onsuccess = () => {
      const cursor = walking.result;
      if (!cursor) return;
      const isOld = Date.now() - (cursor.value.added_ms ?? 0) > UNSENT_MS;
      if (isOld && !used.has(cursor.key)) cursor.delete();
      cursor.continue();
    };
  });
}

/** Return a picture, video or file, or undefined. */
export function loadMedium(id) {
  return run(["media"], "readonly", (store) => store.get(id));
}
