// Take conversations out of this browser as one JSON file, and in again.

import { download, newId } from "./dom.js";
import { dataUrl } from "./media.js";
import { listConversations, loadMedium, saveConversation, saveMedium } from "./store.js";

const FORMAT = "edge-conversations";
const VERSION = 1;
const ROLES = ["user", "assistant", "tool"];

/** Give all conversations, pictures included, to the visitor as a file. */
export async function exportAll() {
  const conversations = await listConversations();
  const media = [];
  for (const id of new Set(conversations.flatMap((one) => Object.values(one.nodes).flatMap((node) => node.media)))) {
    const medium = await loadMedium(id);
    if (!medium) continue;
    const { kind, name, type } = medium;
    media.push({ id, kind, name, type, data: await dataUrl(medium.blob) });
  }
  const day = new Date().toISOString().slice(0, 10);
  const text = JSON.stringify({ format: FORMAT, version: VERSION, conversations, media });
  download(`edge-conversations-${day}.json`, new Blob([text], { type: "application/json" }));
}

/**
 * Add the conversations of a file to those that are here.
 * @returns {Promise<number>} How many.
 * @throws {Error} The file is none of ours.
 */
export async function importFile(file) {
  let content;
  try {
    content = JSON.parse(await file.text());
  } catch {
    throw new Error(`${file.name} is not JSON. Choose a file that this page exported.`);
  }
  if (content?.format !== FORMAT || content.version !== VERSION || !Array.isArray(content.conversations)) {
    throw new Error(`${file.name} holds no conversations of this page (format ${FORMAT}, version ${VERSION}).`);
  }
  const mediaIds = new Map();
  for (const medium of content.media ?? []) {
    const id = newId();
    const { kind, name, type } = medium;
    await saveMedium({ id, kind: String(kind), name: String(name), type: String(type), blob: blobOf(medium.data) });
    mediaIds.set(medium.id, id);
  }
  for (const conversation of content.conversations) await saveConversation(cleaned(conversation, mediaIds));
  return content.conversations.length;
}

/** Take over what a conversation must have, with names of its own. */
function cleaned(conversation, mediaIds) {
  const given = Object.values(conversation.nodes ?? {}).filter((node) => ROLES.includes(node.role));
  const ids = new Map(given.map((node) => [node.id, newId()]));
  const nodes = {};
  for (const node of given) {
    const id = ids.get(node.id);
    nodes[id] = {
      ...node,
      id,
      parent: ids.get(node.parent) ?? null,
      text: String(node.text ?? ""),
      thought: String(node.thought ?? ""),
      media: list(node.media).map((one) => mediaIds.get(one)).filter(Boolean),
      calls: list(node.calls).map(cleanedCall),
    };
  }
  dropLoops(nodes);
  const updated_ms = Number(conversation.updated_ms) || Date.now();
  const leaf = ids.get(conversation.leaf) ?? null;
  return { id: newId(), title: String(conversation.title ?? ""), updated_ms, leaf, nodes };
}

function cleanedCall(call) {
  return { id: String(call.id), name: String(call.name), arguments: String(call.arguments) };
}

/** Cut the tie of a message that is, by a forged file, below itself. */
function dropLoops(nodes) {
  for (const start of Object.values(nodes)) {
    const seen = new Set();
    for (let node = start; node; node = nodes[node.parent]) {
      if (seen.has(node.id)) {
        node.parent = null;
        break;
      }
      seen.add(node.id);
    }
  }
}

function list(value) {
  return Array.isArray(value) ? value : [];
}

function blobOf(url) {
  const found = /^data:([\w.+-]*\/?[\w.+-]*)[^,]*;base64,(.*)$/s.exec(String(url));
  if (!found) throw new Error("A picture in the file is not written as base64.");
  const bytes = Uint8Array.from(atob(found[2]), (char) => char.charCodeAt(0));
  return new Blob([bytes], { type: found[1] });
}
