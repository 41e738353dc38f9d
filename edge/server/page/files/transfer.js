// Take conversations out of this browser as one JSON file, and in again.

import { download, newId } from "./dom.js";
import { dataUrl } from "./media.js";
import { listConversations, loadMedium, saveConversation, saveMedium } from "./store.js";

const FORMAT = "edge-conversations";
const VERSION = 1;
const ROLES = ["user", "assistant", "tool"];
const TEXTS = ["state", "error", "finish", "model", "call_id", "name"];
const NUMBERS = ["created_ms", "first_ms", "total_ms", "thought_began_ms", "thought_ms"];
const COUNTS = ["usage", "timings"];

/** Give all conversations, pictures included, to the visitor as a file. */
export async function exportAll() {
  const conversations = await listConversations();
  const head = JSON.stringify({ format: FORMAT, version: VERSION, conversations }).slice(0, -1);
  const pieces = [head, ', "media": ['];
  for (const id of new Set(conversations.flatMap((one) => Object.values(one.nodes).flatMap((node) => node.media)))) {
    const medium = await loadMedium(id);
    if (!medium) continue;
    const { kind, name, type } = medium;
    if (pieces.length > 2) pieces.push(",");
    pieces.push(new Blob([JSON.stringify({ id, kind, name, type, data: await dataUrl(medium.blob) })]));
  }
  const day = new Date().toISOString().slice(0, 10);
  // In pieces: one text of all pictures can be longer than a browser's texts may be.
  download(`edge-conversations-${day}.json`, new Blob([...pieces, "]}"], { type: "application/json" }));
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
  const media = list(content.media).map((medium) => {
    const id = newId();
    const { kind, name, type, data } = medium ?? {};
    mediaIds.set(medium?.id, id);
    return { id, kind: String(kind), name: String(name), type: String(type), blob: blobOf(data) };
  });
  const conversations = content.conversations.map((one) => cleaned(one ?? {}, mediaIds)); // all, before one is kept
  for (const medium of media) await saveMedium(medium);
  for (const conversation of conversations) await saveConversation(conversation);
  return conversations.length;
}

/** Take over what a conversation must have, with names of its own. */
function cleaned(conversation, mediaIds) {
  const given = Object.values(conversation.nodes ?? {}).filter((node) => ROLES.includes(node?.role));
  const ids = new Map(given.map((node) => [node.id, newId()]));
  const nodes = {};
  for (const node of given) {
    const id = ids.get(node.id);
    nodes[id] = { ...cleanedNode(node, mediaIds), id, parent: ids.get(node.parent) ?? null };
  }
  dropLoops(nodes);
  const updated_ms = Number(conversation.updated_ms) || Date.now();
  const leaf = ids.get(conversation.leaf) ?? Object.keys(nodes).pop() ?? null;
  return { id: newId(), title: String(conversation.title ?? ""), updated_ms, leaf, nodes };
}

/** Take over what a message may have, each of its kind: what is shown must be able to rely on it. */
function cleanedNode(node, mediaIds) {
  const found = {
    role: node.role,
    text: String(node.text ?? ""),
    thought: String(node.thought ?? ""),
    media: list(node.media).map((one) => mediaIds.get(one)).filter(Boolean),
    calls: list(node.calls).map((call) => call ?? {}).map(cleanedCall),
    warnings: list(node.warnings).map(String),
  };
  for (const name of TEXTS) if (typeof node[name] === "string") found[name] = node[name];
  for (const name of NUMBERS) if (Number.isFinite(node[name])) found[name] = node[name];
  for (const name of COUNTS) found[name] = numbersOf(node[name]);
  return found;
}

function cleanedCall(call) {
  return { id: String(call.id), name: String(call.name), arguments: String(call.arguments) };
}

/** Take over numbers by their names, those of inner objects too. */
function numbersOf(value) {
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Object.entries(value).map(([name, one]) => [name, Number.isFinite(one) ? one : numbersOf(one)]);
  return Object.fromEntries(entries.filter(([, one]) => one !== undefined));
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
