// Where messages are written: text, and pictures dropped, pasted, chosen or taken.

import { announce, button, byId, el } from "./dom.js";
import { dropMedium, hasCamera, mediumElement, takeFile, takePicture } from "./media.js";

/** The form below the conversation. */
export class Composer {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.chat = chat;
    this.media = [];
    this.form = byId("composer");
    this.area = byId("question");
    this.attached = byId("attached");
    this.send = byId("send");
    this.stop = byId("stop");
    this.listen();
  }

  /** Show whether something can be sent, and whether something can be stopped. */
  update() {
    const { isAnswering } = this.chat;
    this.stop.hidden = !isAnswering;
    this.send.hidden = isAnswering;
    this.send.disabled = !this.area.value.trim() && !this.media.length;
    this.area.style.height = "auto";
    const border = this.area.offsetHeight - this.area.clientHeight; // scrollHeight has none
    this.area.style.height = `${Math.min(this.area.scrollHeight + border, window.innerHeight * 0.4)}px`;
  }

  listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.area.addEventListener("input", () => this.update());
    this.area.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    this.stop.addEventListener("click", () => this.chat.stop());
    const files = byId("files");
    byId("choose").addEventListener("click", () => files.click());
    files.addEventListener("change", async () => {
      await this.take(files.files);
      files.value = "";
    });
    byId("shoot").hidden = !hasCamera();
    byId("shoot").addEventListener("click", () => this.shoot());
    this.listenForDrops();
    document.addEventListener("paste", (event) => {
      const pasted = event.clipboardData?.files ?? [];
      if (!pasted.length || isWriting(event.clipboardData)) return;
      event.preventDefault();
      this.take(pasted);
    });
  }

  listenForDrops() {
    let depth = 0;
    const mark = (change) => {
      depth = Math.max(0, change === null ? 0 : depth + change);
      document.body.classList.toggle("dropping", depth > 0);
    };
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    document.addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
    document.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
    document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    document.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      mark(null);
      this.take(event.dataTransfer.files);
    });
  }

  async take(files) {
    for (const file of [...files]) {
      let medium = null;
      try {
        medium = await takeFile(file);
      } catch (error) {
        const isFull = error.name === "QuotaExceededError";
        const reason = isFull ? "this browser's storage is full. Delete conversations." : error.message;
        this.tell(`${file.name} could not be kept: ${reason}`);
        continue;
      }
      if (medium) this.media.push(medium.id);
      else this.tell(`${file.name} is no picture, video or PDF.`);
    }
    this.showMedia();
    this.area.focus();
  }

  async shoot() {
    try {
      const file = await takePicture();
      if (file) await this.take([file]);
    } catch (error) {
      this.tell(`The camera cannot be used: ${error.message}`);
    }
  }

  showMedia() {
    const items = this.media.map((id) => {
      const remove = () => {
        this.media = this.media.filter((other) => other !== id);
        this.showMedia();
        this.area.focus();
        dropMedium(id).catch(() => {});
      };
      return el("li", {}, mediumElement(id), button("Remove", remove, { sign: "✕", class: "icon remove" }));
    });
    this.attached.replaceChildren(...items);
    this.attached.hidden = !items.length;
    this.update();
  }

  submit() {
    const text = this.area.value.trim();
    if (this.chat.isAnswering || (!text && !this.media.length)) return;
    const { media } = this;
    this.media = [];
    this.area.value = "";
    this.tell("");
    this.showMedia();
    this.chat.ask(text, media);
  }

  tell(text) {
    byId("trouble").textContent = text;
    byId("trouble").hidden = !text;
    if (text) announce(text);
  }
}

/** Whether text was copied, of which word processors and spreadsheets give a picture too. */
function isWriting(data) {
  return data.types.includes("text/html") && Boolean(data.getData("text/plain").trim());
}
