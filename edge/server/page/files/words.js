// Couple the words of an answer with its boxes: the JSON of each box, and its label where the text names it.

import { colorOf } from "./boxes.js";
import { el } from "./dom.js";

/**
 * Wrap words that belong to marks.
 * @param {HTMLElement} container Shown Markdown; wrapping is undone where blocks are replaced.
 * @param {object[]} marks
 * @param {(place: number|null) => void} onPick
 */
export function coupleWords(container, marks, onPick) {
  const walker = document.createTreeWalker(container, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest(".word, button")) nodes.push(walker.currentNode);
  }
  for (const node of nodes) coupleNode(node, marks, onPick);
}

/** Let the words of one mark stand out. */
export function pickWords(container, place) {
  for (const word of container.querySelectorAll(".word")) {
    word.classList.toggle("picked", Number(word.dataset.mark) === place);
  }
}

function coupleNode(node, marks, onPick) {
  const text = node.data;
  const isCode = node.parentElement.closest("pre") !== null;
  const spans = [];
  let from = 0;
  marks.forEach((mark, place) => {
    const needle = isCode ? mark.source : mark.label;
    if (!needle || (!isCode && needle.length < 3)) return;
    const lower = isCode ? text : text.toLowerCase();
    const start = lower.indexOf(isCode ? needle : needle.toLowerCase(), isCode ? from : 0);
    if (start < 0) return;
    if (isCode) from = start + needle.length;
    spans.push({ start, end: start + needle.length, place });
  });
  spans.sort((one, other) => one.start - other.start);
  const pieces = [];
  let at = 0;
  for (const { start, end, place } of spans) {
    if (start < at) continue;
    pieces.push(text.slice(at, start), wordElement(text.slice(start, end), place, onPick));
    at = end;
  }
  if (pieces.length) node.replaceWith(...pieces, text.slice(at));
}

function wordElement(text, place, onPick) {
  const word = el("span", {
    class: "word",
    text,
    data: { mark: place },
    on: { pointerenter: () => onPick(place), pointerleave: () => onPick(null) },
  });
  word.style.setProperty("--mark", colorOf(place));
  return word;
}
