// Show what the visitor said, and let it be edited; and show results of tools.

import { button, el } from "./dom.js";
import { mediumElement } from "./media.js";

/** One question on the page. */
export class QuestionView {
  /**
   * @param {object} node
   * @param {import("./chat.js").Chat} chat
   * @param {() => Node|null} versions Makes the switch between versions.
   */
  constructor(node, chat, versions) {
    this.node = node;
    this.chat = chat;
    this.versions = versions;
    this.isEdited = false;
    this.actions = el("div", { class: "actions" });
    const media = node.media.length ? el("div", { class: "media" }, ...node.media.map(mediumElement)) : null;
    const text = node.text ? el("div", { class: "text", text: node.text }) : null;
    this.parts = [media, text, this.actions].filter(Boolean);
    this.element = el("article", { class: "message user", "aria-label": "You" }, ...this.parts);
    this.update();
  }

  /** Show what can be done with it now. */
  update() {
    const { chat } = this;
    const edit = chat.isAnswering ? null : button("Edit", () => this.edit(), { class: "quiet" });
    this.actions.replaceChildren(...[this.versions(), edit].filter(Boolean));
    if (this.isEdited && chat.isAnswering) this.leave();
  }

  edit() {
    const { node } = this;
    const area = el("textarea", { "aria-label": "Edit the message", rows: "3", dir: "auto" });
    area.value = node.text;
    const send = () => {
      if (!area.value.trim() && !node.media.length) return area.focus();
      this.leave();
      return this.chat.edit(node, area.value.trim());
    };
    const cancel = () => {
      this.leave();
      this.actions.querySelector("button:last-child")?.focus();
    };
    area.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape") cancel();
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        send();
      }
    });
    const bar = el("div", { class: "bar" }, button("Send", send, { class: "main" }), button("Cancel", cancel));
    this.isEdited = true;
    this.element.replaceChildren(el("div", { class: "editor" }, area, bar));
    area.focus();
  }

  leave() {
    this.isEdited = false;
    this.element.replaceChildren(...this.parts);
  }
}

/** One result of a tool on the page. */
export class ResultView {
  constructor(node) {
    this.node = node;
    const name = `Result of ${node.name}`;
    const result = el("pre", { tabindex: "0", role: "region", "aria-label": "Result", text: node.text });
    const title = el("div", { class: "call-name", text: name });
    this.element = el("article", { class: "message tool", "aria-label": name }, title, result);
  }

  /** Nothing about it changes. */
  update() {}
}
