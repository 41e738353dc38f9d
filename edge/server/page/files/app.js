// Put the page together.

import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { byId, el } from "./dom.js";
import { keepText, kept } from "./kept.js";
import { keepModel, keptModel, openSettings, requestFields, useTheme } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { listenToWindows, sweepMedia } from "./store.js";
import { listModels } from "./stream.js";
import { ConversationView } from "./view.js";

const SHOWN_AS = "edge.shown";

const models = byId("model");
const chat = new Chat({
  onChange: showAll,
  onGrow: (node) => view.grow(node),
  onElsewhere: listSoon,
  onTrouble: (text) => composer.tell(text),
  model: () => models.value,
});
const view = new ConversationView(byId("messages"), chat);
const composer = new Composer(chat);
const sidebar = new Sidebar(chat, (text) => composer.tell(text));

function showAll() {
  const { conversation } = chat;
  view.show();
  composer.update();
  byId("welcome").hidden = conversation.leaf !== null;
  document.title = conversation.title ? `${conversation.title} – edge` : "edge";
  keepText(SHOWN_AS, conversation.leaf === null ? "" : conversation.id);
  sidebar.update();
}

let listing = null;

/** List the conversations anew, not more often than anybody looks: another window's answer is kept twice a second. */
function listSoon() {
  listing ??= setTimeout(() => {
    listing = null;
    sidebar.update();
  }, 500);
}

let modelTrouble = "";

async function showModels() {
  let names = [];
  try {
    names = (await listModels(requestFields().key)).map((model) => model.id);
    if (modelTrouble) composer.tell("");
    modelTrouble = "";
  } catch (error) {
    modelTrouble = error.message;
    composer.tell(modelTrouble);
    names = keptModel() ? [keptModel()] : [];
  }
  models.replaceChildren(...names.map((name) => el("option", { value: name, text: name })));
  if (names.includes(keptModel())) models.value = keptModel();
}

/** Whether the visitor edits a message or writes a result: showing messages anew would take that away. */
function isWritingBelow() {
  return byId("messages").querySelector("textarea") !== null;
}

function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    const isDialogOpen = document.querySelector("dialog[open]") !== null;
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (isDialogOpen) return;
    if (event.key === "Escape" && chat.isAnswering) chat.stop();
    else if (event.key === "Escape") sidebar.fold();
    else if (event.key === "/" && !isTyping) {
      event.preventDefault();
      byId("question").focus();
    } else if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === "o") {
      event.preventDefault();
      chat.start();
      byId("question").focus();
    }
  });
}

async function start() {
  useTheme();
  listenForKeys();
  byId("open-settings").addEventListener("click", () => openSettings(showModels));
  models.addEventListener("change", () => keepModel(models.value));
  for (const one of document.querySelectorAll("[data-ask]")) {
    one.addEventListener("click", () => {
      byId("question").value = one.dataset.ask;
      byId("question").focus();
      composer.update();
    });
  }
  navigator.storage?.persist?.().catch(() => {}); // so that the browser does not clear conversations by itself
  navigator.serviceWorker?.register("/page/worker.js", { scope: "/" }).catch(() => {}); // none without https
  const shown = kept(SHOWN_AS);
  const isOpen = shown ? await chat.open(shown).catch(() => false) : false;
  if (!isOpen) showAll();
  listenToWindows(({ saved, deleted }) => {
    if (deleted) chat.forget(deleted);
    if (deleted) sidebar.update();
    else if (!isWritingBelow()) chat.refresh(saved);
  });
  sweepMedia().catch(() => {});
  await showModels();
  document.documentElement.dataset.ready = "true";
}

start();
