// The list of kept conversations, and what can be done with all of them.

import { button, byId, el } from "./dom.js";
import { deleteConversation, listConversations } from "./store.js";
import { exportAll, importFile } from "./transfer.js";

/** The side of the page. */
export class Sidebar {
  /**
   * @param {import("./chat.js").Chat} chat
   * @param {(text: string) => void} tell Shows what went wrong.
   */
  constructor(chat, tell) {
    this.chat = chat;
    this.tell = tell;
    this.list = byId("conversations");
    this.side = byId("side");
    byId("new").addEventListener("click", () => {
      this.fold();
      chat.start();
      byId("question").focus();
    });
    byId("menu").addEventListener("click", () => this.setOpen(!this.side.classList.contains("open")));
    byId("shade").addEventListener("click", () => this.fold());
    byId("export").addEventListener("click", () => this.attempt(exportAll));
    const file = byId("import-file");
    byId("import").addEventListener("click", () => file.click());
    file.addEventListener("change", () => this.attempt(() => this.import(file)));
  }

  /** Show the conversations that are kept now. */
  async update() {
    let all = [];
    try {
      all = await listConversations();
    } catch (error) {
      this.tell(`This browser keeps no conversations: ${error.message}`);
    }
    this.list.replaceChildren(...all.map((one) => this.item(one)));
  }

  /** Fold the list away where the window is narrow. */
  fold() {
    this.setOpen(false);
  }

  setOpen(isOpen) {
    this.side.classList.toggle("open", isOpen);
    byId("shade").hidden = !isOpen;
    byId("menu").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) byId("new").focus();
  }

  item(conversation) {
    const isShown = conversation.id === this.chat.conversation.id;
    const title = conversation.title || "Conversation";
    const open = async () => {
      this.fold();
      await this.chat.open(conversation.id);
    };
    const remove = () => this.attempt(() => this.remove(conversation, title));
    return el(
      "li",
      { class: isShown ? "shown" : null },
      button(title, open, { class: "plain title", "aria-current": isShown ? "true" : null }),
      button(`Delete ${title}`, remove, { sign: "✕", class: "icon" }),
    );
  }

  async remove(conversation, title) {
    if (!window.confirm(`Delete "${title}" and its pictures from this browser?`)) return;
    this.chat.forget(conversation.id);
    await deleteConversation(conversation);
    await this.update();
  }

  async import(file) {
    if (file.files.length) await importFile(file.files[0]);
    file.value = "";
    await this.update();
  }

  async attempt(work) {
    try {
      await work();
    } catch (error) {
      this.tell(error.message);
    }
  }
}
