// Show a conversation: its messages, and what can be done with each.

import { pathOf, versionsOf } from "./conversation.js";
import { AnswerView } from "./answer.js";
import { button, el } from "./dom.js";
import { mediumElement } from "./media.js";

/** The list of messages. */
export class ConversationView {
  constructor(container, chat) {
    this.container = container;
    this.chat = chat;
    this.answers = new Map(); // node id -> AnswerView
    this.due = null;
    this.isFollowing = true; // pictures come after their messages: stay at the end unless the visitor went up
    const scroller = container.parentElement;
    scroller.addEventListener("scroll", () => (this.isFollowing = this.isAtEnd()));
    new ResizeObserver(() => this.isFollowing && this.scrollDown()).observe(container);
  }

  /** Show all messages anew. */
  show() {
    const { conversation } = this.chat;
    this.answers.clear();
    const path = pathOf(conversation);
    this.container.replaceChildren(...path.map((node) => this.messageElement(node)));
    this.isFollowing = true;
    this.scrollDown();
  }

  /** Show what came to an answer, at most once a frame. */
  grow(node) {
    this.due ??= requestAnimationFrame(() => {
      this.due = null;
      this.answers.get(node.id)?.update();
    });
  }

  isAtEnd() {
    const scroller = this.container.parentElement;
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 120;
  }

  scrollDown() {
    const scroller = this.container.parentElement;
    scroller.scrollTop = scroller.scrollHeight;
  }

  messageElement(node) {
    if (node.role === "assistant") {
      const view = new AnswerView(node, this.chat, () => this.versionsElement(node));
      this.answers.set(node.id, view);
      return view.element;
    }
    return node.role === "tool" ? toolElement(node) : this.questionElement(node);
  }

  questionElement(node) {
    const text = el("div", { class: "text", text: node.text });
    const actions = el("div", { class: "actions" }, this.versionsElement(node));
    const article = el("article", { class: "message user", "aria-label": "You" });
    const edit = () => article.replaceChildren(this.editor(node));
    if (!this.chat.isAnswering) actions.append(button("Edit", edit, { class: "quiet" }));
    const media = node.media.length ? el("div", { class: "media" }, ...node.media.map(mediumElement)) : null;
    article.append(...[media, node.text ? text : null, actions].filter(Boolean));
    return article;
  }

  editor(node) {
    const area = el("textarea", { "aria-label": "Edit the message", rows: "3" });
    area.value = node.text;
    const send = () => this.chat.edit(node, area.value);
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.show();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    setTimeout(() => area.focus());
    const buttons = [button("Send", send, { class: "main" }), button("Cancel", () => this.show())];
    return el("div", { class: "editor" }, area, el("div", { class: "bar" }, ...buttons));
  }

  versionsElement(node) {
    const versions = versionsOf(this.chat.conversation, node);
    if (versions.length < 2 || this.chat.isAnswering) return null;
    const place = versions.indexOf(node);
    const turn = (step, name, sign) => {
      const other = versions[place + step];
      return button(name, () => this.chat.choose(other), { sign, class: "quiet", disabled: !other });
    };
    const count = el("span", { text: `${place + 1} / ${versions.length}` });
    return el(
      "div",
      { class: "versions", role: "group", "aria-label": "Versions" },
      turn(-1, "Earlier version", "‹"),
      count,
      turn(1, "Later version", "›"),
    );
  }
}

function toolElement(node) {
  const name = `Result of ${node.name}`;
  const result = el("pre", { tabindex: "0", role: "region", "aria-label": "Result", text: node.text });
  const title = el("div", { class: "call-name", text: name });
  return el("article", { class: "message tool", "aria-label": name }, title, result);
}
