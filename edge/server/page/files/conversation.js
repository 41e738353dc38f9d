// A conversation as a tree: editing and retrying add branches and lose nothing. No elements and no storage here.

import { newId } from "./dom.js";

/** Make an empty conversation. */
export function newConversation() {
  return { id: newId(), title: "", updated_ms: Date.now(), leaf: null, nodes: {} };
}

/**
 * Add a message below another and go there.
 * @param {object} conversation
 * @param {string|null} parent
 * @param {object} fields role, text, and what else the role has.
 */
export function addNode(conversation, parent, fields) {
  const node = { id: newId(), parent, created_ms: Date.now(), text: "", media: [], thought: "", calls: [], ...fields };
  conversation.nodes[node.id] = node;
  conversation.leaf = node.id;
  conversation.updated_ms = node.created_ms;
  if (!conversation.title && node.role === "user") conversation.title = titleOf(node);
  return node;
}

/**
 * Put the messages of two states of one conversation together: of each message the one that was written more often.
 * @param {object|undefined} earlier As it was kept, perhaps by another window.
 * @param {object} later Its title and place count.
 */
export function merged(earlier, later) {
  const nodes = { ...earlier?.nodes, ...later.nodes };
  for (const [id, node] of Object.entries(earlier?.nodes ?? {})) {
    if ((node.revision ?? 0) > (nodes[id].revision ?? 0)) nodes[id] = node;
  }
  return { ...later, nodes };
}

/**
 * Take over what another window added; messages that are here stay the same objects.
 * @param {object} conversation
 * @param {object} other The same conversation as the other window kept it.
 * @param {boolean} isFollowing Whether to go on to the end of the other window's path, if ours leads there.
 */
export function takeOver(conversation, other, isFollowing) {
  for (const [id, node] of Object.entries(other.nodes)) {
    const ours = conversation.nodes[id];
    if (!ours) conversation.nodes[id] = node;
    else if ((node.revision ?? 0) > (ours.revision ?? 0)) Object.assign(ours, node);
  }
  const leads = pathOf(other).some((node) => node.id === conversation.leaf);
  if (isFollowing && leads) conversation.leaf = other.leaf;
}

/** Return the shown messages, from the first to the last. */
export function pathOf(conversation, leaf = conversation.leaf) {
  const path = [];
  for (let node = conversation.nodes[leaf]; node; node = conversation.nodes[node.parent]) path.unshift(node);
  return path;
}

/** Return the versions of a message, itself included, in the order they were made. */
export function versionsOf(conversation, node) {
  return Object.values(conversation.nodes).filter((other) => other.parent === node.parent);
}

/** Go to the branch that a message begins. */
export function goTo(conversation, node) {
  let leaf = node;
  for (;;) {
    const children = Object.values(conversation.nodes).filter((other) => other.parent === leaf.id);
    if (!children.length) break;
    leaf = children[children.length - 1];
  }
  conversation.leaf = leaf.id;
}

/** Return the pictures that an answer is about: those of the nearest message before it that has some. */
export function picturesBefore(conversation, node, kinds) {
  const path = pathOf(conversation, node.id).reverse();
  const asked = path.find((one) => one.role === "user" && one.media.some((id) => kinds.get(id) === "image"));
  return asked ? asked.media.filter((id) => kinds.get(id) === "image") : [];
}

/**
 * Write the messages of a request.
 * @param {object[]} path
 * @param {string} system
 * @param {(id: string) => Promise<object>} part Makes the content part of a medium.
 */
export async function requestMessages(path, system, part) {
  const messages = system ? [{ role: "system", content: system }] : [];
  for (const node of path) {
    if (node.role === "user") {
      const parts = await Promise.all(node.media.map(part));
      const content = parts.length ? [...parts, { type: "text", text: node.text }] : node.text;
      messages.push({ role: "user", content });
    } else if (node.role === "tool") {
      messages.push({ role: "tool", tool_call_id: node.call_id, content: node.text });
    } else {
      messages.push(answerMessage(node));
    }
  }
  return messages;
}

function answerMessage(node) {
  const message = { role: "assistant", content: node.text };
  if (node.thought) message.reasoning_content = node.thought;
  if (node.calls.length) {
    message.tool_calls = node.calls.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    }));
  }
  return message;
}

function titleOf(node) {
  const text = node.text.trim().replace(/\s+/g, " ");
  if (!text) return node.media.length ? "Picture" : "Conversation";
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
