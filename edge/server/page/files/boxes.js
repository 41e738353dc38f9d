// Find boxes and points in an answer and draw them on its picture. Coordinates are thousandths of the picture's sides.

import { button, el } from "./dom.js";

const OBJECT = /\{[^{}]{0,4000}\}/g;
const MAX_SIDE_PX = 1024;
const COLORS = ["#e6004c", "#0066ff", "#00a843", "#b000e6", "#e67300", "#008a99", "#8a5a00", "#d100a4"];

/**
 * Find the boxes and points of a text, also while it grows.
 * @returns {{kind: string, at: number[], label: string, source: string}[]} In the order of the text.
 */
export function findMarks(text) {
  const marks = [];
  for (const [source] of text.matchAll(OBJECT)) {
    if (!/"(bbox_2d|bbox|point_2d|point)"/.test(source)) continue;
    let object;
    try {
      object = JSON.parse(source);
    } catch {
      continue;
    }
    const box = numbers(object.bbox_2d ?? object.bbox, 4);
    const point = numbers(object.point_2d ?? object.point, 2);
    const label = String(object.label ?? object.name ?? object.text_content ?? "").slice(0, 200);
    if (box) {
      const [x1, y1, x2, y2] = box;
      const at = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
      marks.push({ kind: "box", at, label, source });
    } else if (point) marks.push({ kind: "point", at: point, label, source });
  }
  return marks;
}

function numbers(value, count) {
  const isRight = Array.isArray(value) && value.length === count && value.every(Number.isFinite);
  return isRight ? value.map((one) => Math.min(1000, Math.max(0, one))) : null;
}

/** The picture of an answer, with its boxes and points, and a legend. */
export class MarkedPicture {
  /**
   * @param {Blob[]} pictures What was asked about; with several, the visitor chooses.
   * @param {(place: number|null) => void} onPick Called when a mark is pointed at.
   */
  constructor(pictures, onPick) {
    this.pictures = pictures;
    this.place = 0;
    this.marks = [];
    this.picked = null;
    this.onPick = onPick;
    this.bitmap = null;
    this.canvas = el("canvas", { role: "img", on: { pointermove: (event) => this.point(event) } });
    this.canvas.addEventListener("pointerleave", () => this.onPick(null));
    this.legend = el("ul", { class: "legend", "aria-label": "Found in the picture" });
    this.chooser = el("div", { class: "chooser", role: "group", "aria-label": "Picture to draw on" });
    this.element = el("figure", { class: "marked" }, this.chooser, this.canvas, el("figcaption", {}, this.legend));
    this.showChooser();
    this.ready = this.load();
  }

  async load() {
    try {
      this.bitmap = await createImageBitmap(this.pictures[this.place]);
    } catch {
      this.bitmap = null; // this browser cannot show the format; the legend still tells
      return;
    }
    const scale = Math.min(1, MAX_SIDE_PX / Math.max(this.bitmap.width, this.bitmap.height));
    this.canvas.width = Math.max(1, Math.round(this.bitmap.width * scale));
    this.canvas.height = Math.max(1, Math.round(this.bitmap.height * scale));
    this.draw();
  }

  /** Show other marks. */
  update(marks) {
    const isSame = JSON.stringify(marks) === JSON.stringify(this.marks);
    this.marks = marks;
    if (isSame) return;
    const listeners = (place) => ({
      pointerenter: () => this.onPick(place),
      pointerleave: () => this.onPick(null),
      focus: () => this.onPick(place),
      blur: () => this.onPick(null),
    });
    const items = marks.map((mark, place) => {
      const one = button(nameOf(mark, place), () => this.onPick(place), { class: "mark-name", data: { mark: place } });
      for (const [event, listener] of Object.entries(listeners(place))) one.addEventListener(event, listener);
      const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = colorOf(place);
      one.prepend(swatch);
      return el("li", {}, one);
    });
    this.legend.replaceChildren(...items);
    const told = marks.map((mark, place) => `${nameOf(mark, place)} at ${mark.at.join(", ")}`);
    this.canvas.setAttribute("aria-label", `Picture with ${told.join("; ")} (of 1000)`);
    this.draw();
  }

  /** Let one mark stand out. */
  pick(place) {
    this.picked = place;
    for (const one of this.legend.querySelectorAll("[data-mark]")) {
      one.classList.toggle("picked", Number(one.dataset.mark) === place);
    }
    this.draw();
  }

  showChooser() {
    this.chooser.hidden = this.pictures.length < 2;
    const buttons = this.pictures.map((_, place) => {
      const choose = () => {
        this.place = place;
        this.showChooser();
        this.ready = this.load();
      };
      return button(`Picture ${place + 1}`, choose, { "aria-pressed": String(place === this.place) });
    });
    this.chooser.replaceChildren(...buttons);
  }

  point(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * 1000;
    const y = ((event.clientY - area.top) / area.height) * 1000;
    const place = smallestAt(this.marks, x, y);
    if (place !== this.picked) this.onPick(place);
  }

  draw() {
    if (!this.bitmap) return;
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.drawImage(this.bitmap, 0, 0, width, height);
    const line = Math.max(2, Math.round(Math.max(width, height) / 170));
    this.marks.forEach((mark, place) => {
      pen.globalAlpha = this.picked === null || this.picked === place ? 1 : 0.3;
      const at = mark.at.map((value, axis) => (value / 1000) * (axis % 2 ? height : width));
      if (mark.kind === "box") drawBox(pen, at, line, colorOf(place), this.picked === place);
      else drawPoint(pen, at, line, colorOf(place), this.picked === place);
      drawName(pen, at, line, colorOf(place), nameOf(mark, place));
    });
    pen.globalAlpha = 1;
  }
}

/** Return a mark's colour. */
export function colorOf(place) {
  return COLORS[place % COLORS.length];
}

function nameOf(mark, place) {
  return mark.label || `${mark.kind === "box" ? "Box" : "Point"} ${place + 1}`;
}

function smallestAt(marks, x, y) {
  let best = null;
  let bestArea = Infinity;
  marks.forEach((mark, place) => {
    const [x1, y1] = mark.kind === "box" ? mark.at : mark.at.map((one) => one - 25);
    const [x2, y2] = mark.kind === "box" ? mark.at.slice(2) : mark.at.map((one) => one + 25);
    const area = (x2 - x1) * (y2 - y1);
    if (x >= x1 && x <= x2 && y >= y1 && y <= y2 && area < bestArea) [best, bestArea] = [place, area];
  });
  return best;
}

function drawBox(pen, [x1, y1, x2, y2], line, color, isPicked) {
  if (isPicked) {
    pen.fillStyle = `${color}33`;
    pen.fillRect(x1, y1, x2 - x1, y2 - y1);
  }
  pen.strokeStyle = "#ffffff";
  pen.lineWidth = line * 2; // a white edge keeps the line visible on a ground of its own colour
  pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  pen.strokeStyle = color;
  pen.lineWidth = line;
  pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
}

function drawPoint(pen, [x, y], line, color, isPicked) {
  for (const [radius, fill] of [[line * 3.2, "#ffffff"], [line * 2.4, color]]) {
    pen.beginPath();
    pen.arc(x, y, radius * (isPicked ? 1.5 : 1), 0, 2 * Math.PI);
    pen.fillStyle = fill;
    pen.fill();
  }
}

function drawName(pen, [x, y], line, color, name) {
  const size = Math.max(11, line * 5);
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const text = name.length > 40 ? `${name.slice(0, 39)}…` : name;
  const width = pen.measureText(text).width + size * 0.8;
  const left = Math.max(0, Math.min(x - line / 2, pen.canvas.width - width));
  const top = y >= size * 1.4 + line ? y - size * 1.4 - line / 2 : y + line;
  pen.fillStyle = color;
  pen.fillRect(left, top, width, size * 1.4);
  pen.fillStyle = "#ffffff";
  pen.textBaseline = "middle";
  pen.fillText(text, left + size * 0.4, top + size * 0.72);
}
