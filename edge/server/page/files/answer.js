// Show one answer: thought, text, marked picture, tool calls, counts; again and again while it grows.

import { MarkedPicture, findMarks } from "./boxes.js";
import { picturesBefore } from "./conversation.js";
import { button, canCopy, el } from "./dom.js";
import { showMarkdown } from "./markdown.js";
import { kinds, readMedium } from "./media.js";
import { coupleWords, pickWords } from "./words.js";

const ENDS = {
  length: "The answer was cut: the limit of tokens is reached.",
  content_filter: "The answer was cut.",
};

/** One answer on the page. */
export class AnswerView {
  /**
   * @param {object} node
   * @param {import("./chat.js").Chat} chat
   * @param {() => Node|null} versions Makes the switch between versions.
   */
  constructor(node, chat, versions) {
    this.node = node;
    this.chat = chat;
    this.versions = versions;
    this.picture = null;
    this.isPictureAsked = false;
    this.form = null;
    this.summary = el("summary");
    this.thoughtText = el("div", { class: "thought-text" });
    this.thought = el("details", { class: "thought" }, this.summary, this.thoughtText);
    this.text = el("div", { class: "text markdown" });
    this.marked = el("div");
    this.calls = el("div", { class: "calls" });
    this.note = el("p", { class: "note" });
    this.foot = el("div", { class: "foot" });
    const parts = [this.thought, this.marked, this.text, this.calls, this.note, this.foot];
    this.element = el("article", { class: "message answer", "aria-label": "Answer" }, ...parts);
    this.update();
  }

  /** Show the answer as it is now. */
  update() {
    const { node } = this;
    const isRunning = node.state === "running";
    this.element.classList.toggle("running", isRunning);
    this.element.setAttribute("aria-busy", String(isRunning));
    this.showThought();
    showMarkdown(this.text, node.text);
    this.showMarks();
    if (!isRunning || node.calls.length) this.showCalls();
    const end = ENDS[node.finish] ?? (node.state === "stopped" ? "Stopped." : "");
    this.note.textContent = node.error ?? [end, ...(node.warnings ?? [])].filter(Boolean).join(" ");
    this.note.hidden = !this.note.textContent;
    this.note.classList.toggle("error", Boolean(node.error));
    if (!isRunning) this.showFoot();
  }

  showThought() {
    const { node } = this;
    this.thought.hidden = !node.thought;
    const isOver = node.thought_ms !== undefined;
    this.summary.textContent = isOver ? `Thought for ${seconds(node.thought_ms)}` : "Thinking…";
    showMarkdown(this.thoughtText, node.thought.trim());
  }

  showMarks() {
    const marks = findMarks(this.node.text);
    if (!marks.length) return;
    if (this.picture) this.picture.update(marks);
    else if (!this.isPictureAsked) this.makePicture();
    coupleWords(this.text, marks, (place) => this.pick(place));
  }

  async makePicture() {
    this.isPictureAsked = true;
    const { conversation } = this.chat;
    const ids = Object.values(conversation.nodes).flatMap((one) => one.media);
    await Promise.all(ids.filter((id) => !kinds.has(id)).map(readMedium));
    const media = await Promise.all(picturesBefore(conversation, this.node, kinds).map(readMedium));
    const blobs = media.filter(Boolean).map((medium) => medium.blob);
    if (!blobs.length) return;
    this.picture = new MarkedPicture(blobs, (place) => this.pick(place));
    this.picture.update(findMarks(this.node.text));
    this.marked.append(this.picture.element);
    await this.picture.ready;
  }

  pick(place) {
    this.picture?.pick(place);
    pickWords(this.text, place);
  }

  showCalls() {
    const { node } = this;
    if (!node.calls.length) return;
    const cards = node.calls.map((call) =>
      el(
        "div",
        { class: "call" },
        el("div", { class: "call-name", text: `Calls ${call.name}` }),
        argumentsElement(call),
      ),
    );
    const isOpen = this.chat.conversation.leaf === node.id && node.state === "done";
    this.form = isOpen ? (this.form ?? this.resultForm()) : null; // what is written in it stays
    const kept = [...this.calls.children].slice(0, cards.length);
    const isSame = kept.length === cards.length && this.calls.children[cards.length] === (this.form ?? undefined);
    if (!isSame || node.state === "running") this.calls.replaceChildren(...[...cards, this.form].filter(Boolean));
  }

  /** Let the visitor play the tools: this page runs none itself. */
  resultForm() {
    const { node } = this;
    const areas = node.calls.map((call) => {
      const label = `Result of ${call.name}`;
      return el("textarea", { rows: "2", "aria-label": label, placeholder: label });
    });
    const send = () => this.chat.giveResults(node, areas.map((area) => area.value));
    const bar = el("div", { class: "bar" }, button("Send the result", send, { class: "main" }));
    return el("div", { class: "editor" }, ...areas, bar);
  }

  showFoot() {
    const { node, chat } = this;
    const actions = [this.versions()];
    if (!chat.isAnswering) {
      const copy = () => navigator.clipboard.writeText(node.text);
      const hint = "Go on from here in a new conversation";
      if (canCopy()) actions.push(button("Copy", copy, { class: "quiet" }));
      actions.push(button("Retry", () => chat.retry(node), { class: "quiet" }));
      actions.push(button("Branch", () => chat.branch(node), { class: "quiet", title: hint }));
    }
    const stats = el("span", { class: "stats", text: statsText(node) });
    this.foot.replaceChildren(el("div", { class: "actions" }, ...actions.filter(Boolean)), stats);
  }
}

function statsText(node) {
  const parts = [];
  if (node.usage?.completion_tokens !== undefined) {
    const { prompt_tokens: prompt, completion_tokens: completion } = node.usage;
    const cached = node.usage.prompt_tokens_details?.cached_tokens ?? 0;
    parts.push(`${prompt} + ${completion} tokens${cached ? ` (${cached} kept)` : ""}`);
  }
  if (node.timings?.predicted_per_second) parts.push(`${node.timings.predicted_per_second.toFixed(1)} tokens/s`);
  const memory = node.timings?.memory_bytes;
  if (memory) parts.push(`${(memory / 1e9).toFixed(2)} GB of memory`);
  if (node.first_ms !== undefined) parts.push(`first after ${seconds(node.first_ms)}`);
  if (node.total_ms !== undefined) parts.push(`${seconds(node.total_ms)} in all`);
  if (node.model) parts.push(node.model);
  return parts.join(" · ");
}

function argumentsElement(call) {
  const label = `Arguments of ${call.name}`;
  return el("pre", { tabindex: "0", role: "region", "aria-label": label, text: tidy(call.arguments) });
}

function seconds(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
}

function tidy(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
