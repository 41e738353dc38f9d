// Build elements. Text always becomes text nodes: nothing here, or anywhere on the page, parses HTML.

/**
 * Make an element.
 * @param {string} tag
 * @param {Object} props `class`, `text`, `on` (listeners), `data`; other names are attributes, true means empty.
 * @param {...(Node|string|null)} children null is left out.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Make a button with a text, or with a sign and a name that only screen readers and tooltips tell. */
export function button(text, action, { sign = null, ...props } = {}) {
  const named = sign === null ? {} : { "aria-label": text, title: text };
  const children = sign === null ? [text] : [el("span", { "aria-hidden": "true", text: sign })];
  return el("button", { type: "button", ...named, ...props, on: { click: action } }, ...children);
}

/** Find an element of the page by id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Tell screen readers something, without showing it. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** Whether this browser lets a page copy: on this computer, and over https. */
export function canCopy() {
  return Boolean(navigator.clipboard?.writeText);
}

/** Give a file to the visitor. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Make a name that is unique in this browser and beyond. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
