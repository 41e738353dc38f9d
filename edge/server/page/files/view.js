// Show a conversation: its messages, in views that stay as long as their messages are shown.

import { AnswerView } from "./answer.js";
import { pathOf, versionsOf } from "./conversation.js";
import { button, byId, el } from "./dom.js";
import { QuestionView, ResultView } from "./question.js";

const FRAME_MS = 17;
const SHARE = 4; // times as long as showing a piece took, the page does nothing of the kind
const MAX_WAIT_MS = 2000;

/** The list of messages. */
export class ConversationView {
  constructor(container, chat) {
    this.container = container;
    this.chat = chat;
    this.views = new Map(); // node id -> view
    this.end = null; // the last message shown
    this.due = null;
    this.cost_ms = 0; // of showing the last piece
    this.isFollowing = true; // pictures come after their messages: stay at the end unless the visitor went up
    const scroller = container.parentElement;
    scroller.addEventListener("scroll", () => (this.isFollowing = this.isAtEnd()));
    new ResizeObserver(() => this.isFollowing && this.scrollDown()).observe(container);
  }

  /** Show the messages as they are now; where the end is another one, go there. */
  show() {
    const path = pathOf(this.chat.conversation);
    const focus = this.focusPlace();
    this.views = new Map(path.map((node) => [node.id, this.viewOf(node)]));
    const elements = path.map((node) => this.views.get(node.id).element);
    elements.forEach((one, place) => {
      const there = this.container.children[place] ?? null;
      if (there !== one) this.container.insertBefore(one, there); // those that stay are not touched: a video plays on
    });
    while (this.container.children.length > elements.length) this.container.lastChild.remove();
    const end = path[path.length - 1] ?? null;
    if (end !== this.end) this.isFollowing = true;
    this.end = end;
    if (this.isFollowing) this.scrollDown();
    if (focus) this.giveFocus(focus);
  }

  /** Return where the keyboard is, if it is on a button here: {place of the message, name of the button}. */
  focusPlace() {
    const active = document.activeElement;
    const message = active?.closest("#messages > article");
    if (!message || active.tagName !== "BUTTON" || !active.matches(":focus-visible")) return null;
    return { place: [...this.container.children].indexOf(message), name: nameOf(active), active };
  }

  /** Keep the keyboard on a button that was made anew; where it is gone, the question is next. */
  giveFocus({ place, name, active }) {
    if (active.isConnected) return;
    const buttons = [...(this.container.children[place]?.querySelectorAll("button:not(:disabled)") ?? [])];
    (buttons.find((one) => nameOf(one) === name) ?? byId("question")).focus();
  }

  /** Show what came to an answer: once a frame, and less often where that takes long, so that keys are heard. */
  grow(node) {
    if (this.due) return;
    const show = () => {
      this.due = null;
      const started = performance.now();
      this.views.get(node.id)?.update();
      this.container.getBoundingClientRect(); // makes the layout now: it counts too
      this.cost_ms = performance.now() - started;
    };
    const wait_ms = Math.min(MAX_WAIT_MS, SHARE * this.cost_ms);
    if (wait_ms < FRAME_MS) this.due = requestAnimationFrame(show);
    else this.due = setTimeout(show, wait_ms);
  }

  isAtEnd() {
    const scroller = this.container.parentElement;
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 120;
  }

  scrollDown() {
    const scroller = this.container.parentElement;
    scroller.scrollTop = scroller.scrollHeight;
  }

  /** Return a message's view: the one that shows it already, or a new one. */
  viewOf(node) {
    const shown = this.views.get(node.id);
    if (shown?.node === node) {
      shown.update();
      return shown;
    }
    if (node.role === "tool") return new ResultView(node);
    const View = node.role === "assistant" ? AnswerView : QuestionView;
    return new View(node, this.chat, () => this.versionsElement(node));
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

function nameOf(one) {
  return one.getAttribute("aria-label") ?? one.textContent;
}
