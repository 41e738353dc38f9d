// Ask and answer: what the visitor can do with a conversation. Answers go on when another conversation is shown.

import { addNode, goTo, newConversation, pathOf, requestMessages } from "./conversation.js";
import { announce, newId } from "./dom.js";
import { mediumPart } from "./media.js";
import { requestFields } from "./settings.js";
import { loadConversation, loadMedium, saveConversation, saveMedium } from "./store.js";
import { streamAnswer } from "./stream.js";

const SAVE_MS = 500;

/** The shown conversation, and answers under way. */
export class Chat {
  /**
   * @param {object} hooks
   * @param {() => void} hooks.onChange Messages came, went or ended.
   * @param {(node: object) => void} hooks.onGrow The last answer of the shown conversation grew.
   * @param {() => string} hooks.model The chosen model.
   */
  constructor({ onChange, onGrow, model }) {
    this.onChange = onChange;
    this.onGrow = onGrow;
    this.model = model;
    this.conversation = newConversation();
    this.running = new Map(); // conversation id -> {conversation, controller}
  }

  get isAnswering() {
    return this.running.has(this.conversation.id);
  }

  /** Show an empty conversation; it is kept from its first message on. */
  start() {
    this.conversation = newConversation();
    this.onChange();
  }

  /** Show a kept conversation; returns whether there is one. */
  async open(id) {
    const conversation = this.running.get(id)?.conversation ?? (await loadConversation(id));
    if (!conversation) return false;
    for (const node of Object.values(conversation.nodes)) {
      if (node.state === "running" && !this.running.has(id)) node.state = "stopped"; // the page was closed meanwhile
    }
    this.conversation = conversation;
    this.onChange();
    return true;
  }

  /** Send a message and get its answer. */
  ask(text, media) {
    addNode(this.conversation, this.conversation.leaf, { role: "user", text, media });
    return this.answer();
  }

  /** Send a message anew with other words; the old one stays as another version. */
  edit(node, text) {
    addNode(this.conversation, node.parent, { role: "user", text, media: node.media });
    return this.answer();
  }

  /** Get another answer; the old one stays as another version. */
  retry(node) {
    this.conversation.leaf = node.parent;
    return this.answer();
  }

  /** Give the results of all calls of an answer, and go on. */
  giveResults(node, results) {
    let parent = node.id;
    node.calls.forEach((call, place) => {
      const fields = { role: "tool", text: results[place], call_id: call.id, name: call.name };
      parent = addNode(this.conversation, parent, fields).id;
    });
    return this.answer();
  }

  /** Show another version of a message. */
  async choose(node) {
    goTo(this.conversation, node);
    this.onChange();
    await this.save();
  }

  /** Go on in a new conversation with everything up to a message; media are copied. */
  async branch(node) {
    const copy = { ...newConversation(), title: `${this.conversation.title} (branch)` };
    let parent = null;
    for (const one of pathOf(this.conversation, node.id)) {
      const media = await Promise.all(one.media.map(copyMedium));
      parent = addNode(copy, parent, { ...structuredClone(one), id: newId(), parent, media }).id;
    }
    this.conversation = copy;
    await this.save();
    this.onChange();
  }

  /** End the answer under way; what has come stays. */
  stop() {
    this.running.get(this.conversation.id)?.controller.abort();
  }

  async save(conversation = this.conversation) {
    try {
      await saveConversation(conversation);
    } catch (error) {
      announce(`The conversation could not be kept: ${error.message}`);
    }
  }

  async answer() {
    const conversation = this.conversation;
    const path = pathOf(conversation);
    const node = addNode(conversation, conversation.leaf, { role: "assistant", model: this.model(), state: "running" });
    const controller = new AbortController();
    this.running.set(conversation.id, { conversation, controller });
    this.onChange();
    announce("The model is answering.");
    await this.save(conversation);
    try {
      await this.receive(conversation, node, path, controller.signal);
      node.state = "done";
    } catch (error) {
      node.state = controller.signal.aborted ? "stopped" : "failed";
      if (node.state === "failed") node.error = error.message;
    }
    endThought(node);
    node.total_ms = Date.now() - node.created_ms;
    this.running.delete(conversation.id);
    conversation.updated_ms = Date.now();
    await this.save(conversation);
    if (this.conversation === conversation) {
      announce(node.error ?? (node.state === "stopped" ? "Stopped." : `Answer: ${node.text.slice(0, 500)}`));
    }
    this.onChange();
  }

  async receive(conversation, node, path, signal) {
    const { fields, key, system } = requestFields();
    const messages = await requestMessages(path, system, mediumPart);
    let savedAt = Date.now();
    for await (const piece of streamAnswer({ model: node.model, messages, ...fields }, { key, signal })) {
      takePiece(node, piece);
      if (this.conversation === conversation) this.onGrow(node);
      if (Date.now() - savedAt > SAVE_MS) {
        savedAt = Date.now();
        this.save(conversation);
      }
    }
  }
}

function takePiece(node, piece) {
  if (piece.thought) {
    node.thought_began_ms ??= Date.now();
    node.thought += piece.thought;
  }
  if (piece.text) {
    endThought(node);
    node.text += piece.text;
  }
  for (const delta of piece.calls ?? []) {
    endThought(node);
    node.calls[delta.index] ??= { id: delta.id, name: "", arguments: "" };
    const call = node.calls[delta.index];
    call.name = delta.function?.name ?? call.name;
    call.arguments += delta.function?.arguments ?? "";
  }
  if (piece.text || piece.thought || piece.calls) node.first_ms ??= Date.now() - node.created_ms;
  node.finish = piece.finish ?? node.finish;
  node.usage = piece.usage ?? node.usage;
  node.timings = piece.timings ?? node.timings;
  node.warnings = piece.warnings ?? node.warnings;
}

function endThought(node) {
  if (node.thought && node.thought_ms === undefined) node.thought_ms = Date.now() - node.thought_began_ms;
}

async function copyMedium(id) {
  const medium = await loadMedium(id);
  if (!medium) return id;
  const copy = { ...medium, id: newId() };
  await saveMedium(copy);
  return copy.id;
}
