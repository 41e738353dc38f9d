// Ask and answer: what the visitor can do with a conversation. Answers go on when another conversation is shown.

import { addNode, goTo, newConversation, pathOf, requestMessages, takeOver } from "./conversation.js";
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
   * @param {() => void} hooks.onElsewhere Something happened to conversations that are not shown.
   * @param {(text: string) => void} hooks.onTrouble Something could not be kept.
   * @param {() => string} hooks.model The chosen model.
   */
  constructor({ onChange, onGrow, onElsewhere, onTrouble, model }) {
    this.onChange = onChange;
    this.onGrow = onGrow;
    this.onElsewhere = onElsewhere;
    this.onTrouble = onTrouble;
    this.forgotten = new Set(); // ids of deleted conversations
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
      if (node.state !== "running" || this.running.has(id)) continue;
      node.state = "stopped"; // the page was closed meanwhile
      if (node.thought && !node.text) node.thought_ms ??= conversation.updated_ms - node.thought_began_ms;
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
    const copy = { ...newConversation(), title: `${this.conversation.title.replace(/ \(branch\)$/, "")} (branch)` };
    let parent = null;
    try {
      for (const one of pathOf(this.conversation, node.id)) {
        const media = await Promise.all(one.media.map(copyMedium));
        parent = addNode(copy, parent, { ...structuredClone(one), id: newId(), parent, media }).id;
      }
    } catch (error) {
      this.onTrouble(`The branch could not be kept: ${reasonOf(error)}`);
      return;
    }
    this.conversation = copy;
    await this.save();
    this.onChange();
  }

  /** Let go of a conversation that was deleted, here or in another window. */
  forget(id) {
    this.forgotten.add(id);
    this.running.get(id)?.controller.abort();
    if (this.conversation.id === id) this.start();
  }

  /** Take over what another window did to a conversation. */
  async refresh(id) {
    if (id !== this.conversation.id) return this.onElsewhere();
    const other = await loadConversation(id);
    if (!other || id !== this.conversation.id) return undefined;
    takeOver(this.conversation, other, !this.isAnswering);
    return this.onChange();
  }

  /** End the answer under way; what has come stays. */
  stop() {
    this.running.get(this.conversation.id)?.controller.abort();
  }

  async save(conversation = this.conversation) {
    if (this.forgotten.has(conversation.id)) return;
    try {
      await saveConversation(conversation);
    } catch (error) {
      this.onTrouble(`The conversation could not be kept: ${reasonOf(error)}`);
    }
  }

  async answer() {
    const conversation = this.conversation;
    const path = pathOf(conversation);
    const fields = { role: "assistant", model: this.model(), state: "running", revision: 0 };
    const node = addNode(conversation, conversation.leaf, fields);
    const controller = new AbortController();
    this.running.set(conversation.id, { conversation, controller });
    this.onChange();
    announce("The model is answering.");
    await this.save(conversation);
    this.onElsewhere(); // a first message makes a conversation that is kept
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
    node.revision += 1;
    await this.save(conversation);
    if (this.conversation !== conversation) return this.onElsewhere();
    announce(node.error ?? (node.state === "stopped" ? "Stopped." : `Answer: ${node.text.slice(0, 500)}`));
    return this.onChange();
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
        conversation.updated_ms = savedAt;
        node.revision += 1;
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

function reasonOf(error) {
  return error.name === "QuotaExceededError" ? "this browser's storage is full. Delete conversations." : error.message;
}

async function copyMedium(id) {
  const medium = await loadMedium(id);
  if (!medium) return id;
  const copy = { ...medium, id: newId() };
  await saveMedium(copy);
  return copy.id;
}
