// Keep conversations in this browser: IndexedDB, pictures and videos as blobs beside them.

const NAME = "edge";
const VERSION = 1;

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

/** Write a conversation. */
export function saveConversation(conversation) {
  const copy = structuredClone(conversation);
  return run(["conversations"], "readwrite", (store) => store.put(copy));
}

/** Delete a conversation and its media. */
export function deleteConversation(conversation) {
  return run(["conversations", "media"], "readwrite", (conversations, media) => {
    for (const node of Object.values(conversation.nodes)) for (const id of node.media) media.delete(id);
    conversations.delete(conversation.id);
  });
}

/** Write a picture, video or file: {id, kind, name, type, blob}. */
export function saveMedium(medium) {
  return run(["media"], "readwrite", (store) => store.put(medium));
}

/** Return a picture, video or file, or undefined. */
export function loadMedium(id) {
  return run(["media"], "readonly", (store) => store.get(id));
}
