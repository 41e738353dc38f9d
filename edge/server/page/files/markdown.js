// Show Markdown as elements. Model text is never parsed as HTML; links go to http, https and mailto only, and pictures
// of other places are shown as links, so that reading an answer asks nobody anything.

import { parseBlocks } from "./blocks.js";
import { button, canCopy, el } from "./dom.js";

const MAX_DEPTH = 8;
const LINK_TEXT = String.raw`!?\[((?:[^[\]\\]|\\.){0,500})\]`;
const LINK_PLACE = String.raw`([^\s<>()]{1,2000}(?:\([^\s()]{0,200}\)[^\s()]{0,200})?)`;
const LINK_END = String.raw`>?(?:\s+"[^"]{0,200}")?\s*\)`;
const LINK = new RegExp(`${LINK_TEXT}\\(\\s*<?${LINK_PLACE}${LINK_END}`, "y");
const ADDRESS = /https?:\/\/[^\s<>"'`)\]]{1,2000}/y;
const MARKS = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];

/**
 * Show text in an element; called again with more text, it replaces only the blocks that changed.
 * @param {HTMLElement} container
 * @param {string} text
 */
export function showMarkdown(container, text) {
  const blocks = parseBlocks(text);
  const shown = container.markdownSources ?? [];
  const sources = blocks.map((block) => block.kind + block.source);
  let same = 0;
  while (same < sources.length && sources[same] === shown[same] && container.children[same]) same += 1;
  while (container.children.length > same) container.lastChild.remove();
  container.append(...blocks.slice(same).map(blockElement));
  container.markdownSources = sources;
}

function blockElement(block) {
  switch (block.kind) {
    case "code":
      return codeElement(block);
    case "heading": // the page's own headings are h1 and h2
      return el(`h${Math.min(6, block.level + 2)}`, {}, ...inline(block.text));
    case "rule":
      return el("hr");
    case "quote":
      return el("blockquote", { dir: "auto" }, ...block.blocks.map(blockElement));
    case "list":
      return listElement(block);
    case "table":
      return tableElement(block);
    default:
      return el("p", {}, ...inline(block.text));
  }
}

function codeElement(block) {
  const copy = button("Copy", async () => {
    await navigator.clipboard.writeText(block.text);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  const bar = el("div", { class: "code-bar" }, el("span", { text: block.language || "text" }), canCopy() ? copy : null);
  // Scrollable regions must be reachable by keyboard.
  const label = `Code${block.language ? ` in ${block.language}` : ""}`;
  const pre = el("pre", { tabindex: "0", role: "region", "aria-label": label }, el("code", { text: block.text }));
  return el("div", { class: "code" }, bar, pre);
}

function listElement(block) {
  const items = block.items.map((blocks) => {
    const isPlain = blocks.length > 0 && blocks[0].kind === "paragraph";
    const lead = isPlain ? inline(blocks[0].text) : [];
    return el("li", {}, ...lead, ...blocks.slice(isPlain ? 1 : 0).map(blockElement));
  });
  const start = block.start === 1 ? null : block.start;
  return el(block.isOrdered ? "ol" : "ul", { start, dir: "auto" }, ...items);
}

function tableElement(block) {
  const head = el("tr", {}, ...block.head.map((cell) => el("th", { scope: "col" }, ...inline(cell))));
  const rows = block.rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, ...inline(cell)))));
  const table = el("table", { dir: "auto" }, el("thead", {}, head), el("tbody", {}, ...rows));
  return el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" }, table);
}

/** Turn the text of one block into nodes. */
export function inline(text, depth = 0) {
  const nodes = [];
  const missing = new Set(); // marks that close nowhere behind this place: looked for once only
  let plain = "";
  const add = (node) => {
    if (plain) nodes.push(plain);
    plain = "";
    nodes.push(node);
  };
  let at = 0;
  while (at < text.length) {
    const found = depth < MAX_DEPTH ? readSpan(text, at, depth, missing) : null;
    if (found === null) {
      plain += text[at];
      at += 1;
    } else if (typeof found.node === "string") {
      plain += found.node;
      at = found.end;
    } else {
      add(found.node);
      at = found.end;
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function readSpan(text, at, depth, missing) {
  const char = text[at];
  if (char === "\n") return { node: el("br"), end: at + 1 };
  if (char === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) return { node: text[at + 1], end: at + 2 };
  if (char === "`") return readCode(text, at, missing);
  if (char === "[" || char === "!") return readLink(text, at, depth);
  if (char === "h" && !/\w/.test(text[at - 1] ?? "")) return readAddress(text, at);
  if ("*_~".includes(char)) return readMark(text, at, depth, missing);
  return null;
}

function readCode(text, at, missing) {
  let length = 1;
  while (text[at + length] === "`") length += 1;
  const mark = "`".repeat(length);
  const end = missing.has(mark) ? -1 : text.indexOf(mark, at + length);
  if (end < 0) {
    missing.add(mark);
    return { node: mark, end: at + length };
  }
  return { node: el("code", { text: text.slice(at + length, end).trim() }), end: end + length };
}

function readLink(text, at, depth) {
  LINK.lastIndex = at;
  const found = LINK.exec(text);
  if (!found) return null;
  return { node: linkElement(found[2], inline(found[1] || found[2], depth + 1)), end: LINK.lastIndex };
}

function readAddress(text, at) {
  ADDRESS.lastIndex = at;
  const found = ADDRESS.exec(text);
  if (!found) return null;
  const address = found[0].replace(/[.,;:!?]+$/, "");
  return { node: linkElement(address, [address]), end: at + address.length };
}

function linkElement(address, children) {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return el("span", { title: address }, ...children);
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

function readMark(text, at, depth, missing) {
  for (const [mark, tag] of MARKS) {
    if (!text.startsWith(mark, at) || missing.has(mark)) continue;
    const isWord = (char) => /\w/.test(char ?? "");
    const start = at + mark.length;
    if (/\s/.test(text[start] ?? " ") || (mark[0] === "_" && isWord(text[at - 1]))) continue;
    let end = text.indexOf(mark, start);
    const isHalf = () => end > 0 && text[end + 1] === mark && text[end - 1] !== mark; // of a doubled mark
    while (mark.length === 1 && isHalf()) end = text.indexOf(mark, end + 2);
    if (end < 0) missing.add(mark);
    if (end <= start || /\s/.test(text[end - 1]) || (mark[0] === "_" && isWord(text[end + mark.length]))) continue;
    return { node: el(tag, {}, ...inline(text.slice(start, end), depth + 1)), end: end + mark.length };
  }
  return null;
}
