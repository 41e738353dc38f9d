// How answers are asked for: a dialog of fields, kept in this browser.

import { button, byId, el } from "./dom.js";
import { keepText, kept } from "./kept.js";

const KEPT_AS = "edge.settings";
const AS_MODEL = "the model's own";
const number = (name, label, min, max, step) => ({ name, label, kind: "number", min, max, step });
const FIELDS = [
  { name: "system", label: "System prompt", kind: "area" },
  {
    name: "reasoning_effort",
    label: "Thought",
    kind: "choice",
    choices: [
      ["", "as long as the model likes"],
      ["high", "long"],
      ["medium", "medium"],
      ["low", "short"],
      ["none", "none"],
    ],
  },
  number("max_completion_tokens", "Most tokens of an answer", 1, 1_000_000, 1),
  number("temperature", "Temperature", 0, 2, 0.05),
  number("top_p", "Top p", 0.01, 1, 0.01),
  number("top_k", "Top k", 0, 100_000, 1),
  number("min_p", "Min p", 0, 1, 0.01),
  number("presence_penalty", "Presence penalty", -2, 2, 0.1),
  number("repetition_penalty", "Repetition penalty", 0.1, 2, 0.05),
  number("seed", "Seed", 0, 9_007_199_254_740_991, 1),
  number("max_pixels", "Most pixels of a picture", 1024, 100_000_000, 1),
  { name: "schema", label: "JSON Schema that the answer obeys", kind: "json", shape: "object" },
  { name: "tools", label: "Tools that the model may call (a JSON list)", kind: "json", shape: "list" },
  { name: "key", label: "API key, where the server asks for one", kind: "password" },
  {
    name: "theme",
    label: "Colours",
    kind: "choice",
    choices: [
      ["", "as the system"],
      ["light", "light"],
      ["dark", "dark"],
    ],
  },
];
const NUMBERS = FIELDS.filter((field) => field.kind === "number").map((field) => field.name);
const SENT = NUMBERS.filter((name) => name !== "max_pixels");

let values = read();

/** Return the chosen model's name, or "". */
export function keptModel() {
  return values.model ?? "";
}

/** Keep the chosen model. */
export function keepModel(model) {
  keep({ ...values, model });
}

/** Return what requests need: {fields, key, system}. */
export function requestFields() {
  const fields = {};
  for (const name of SENT) if (values[name]) fields[name] = Number(values[name]);
  if (values.reasoning_effort) fields.reasoning_effort = values.reasoning_effort;
  if (values.max_pixels) fields.mm_processor_kwargs = { max_pixels: Number(values.max_pixels) };
  if (values.tools) fields.tools = JSON.parse(values.tools);
  if (values.schema) {
    const schema = JSON.parse(values.schema);
    fields.response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
  }
  return { fields, key: values.key ?? "", system: values.system ?? "" };
}

/** Use the kept colours. */
export function useTheme() {
  document.documentElement.dataset.theme = values.theme ?? "";
}

/** Let the visitor change the settings. */
export function openSettings(onSaved) {
  const dialog = byId("settings");
  const trouble = el("p", { class: "note error", role: "alert", hidden: true });
  const inputs = new Map(FIELDS.map((field) => [field.name, inputOf(field)]));
  const form = el("form", { method: "dialog" }, el("h2", { id: "settings-title", text: "Settings" }));
  for (const { name, label, kind } of FIELDS) {
    form.append(el("label", { class: kind }, el("span", { text: label }), inputs.get(name)));
  }
  const reset = () => {
    for (const input of inputs.values()) input.value = "";
  };
  const save = el("button", { type: "submit", class: "main", text: "Save" });
  const cancel = button("Cancel", () => dialog.close());
  form.append(trouble, el("div", { class: "bar" }, save, cancel, button("Clear all", reset)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value.trim()]));
    trouble.textContent = FIELDS.map((field) => fault(field, given[field.name])).find(Boolean) ?? "";
    trouble.hidden = !trouble.textContent;
    if (trouble.textContent) return;
    keep({ ...values, ...given });
    useTheme();
    dialog.close();
    onSaved();
  });
  dialog.replaceChildren(form);
  dialog.showModal();
}

function inputOf(field) {
  let input;
  if (field.kind === "area" || field.kind === "json") {
    const isJson = field.kind === "json";
    input = el("textarea", { name: field.name, rows: isJson ? "4" : "2", spellcheck: isJson ? "false" : null });
  } else if (field.kind === "choice") {
    input = el("select", { name: field.name }, ...field.choices.map(([value, text]) => el("option", { value, text })));
  } else {
    const { min, max, step } = field;
    const isNumber = field.kind === "number";
    const steps = isNumber ? (step === 1 ? 1 : "any") : null;
    input = el("input", { type: field.kind, name: field.name, min, max, step: steps, autocomplete: "off" });
    if (isNumber) input.placeholder = AS_MODEL;
  }
  input.value = values[field.name] ?? "";
  return input;
}

function fault(field, text) {
  if (field.kind !== "json" || !text) return "";
  try {
    const value = JSON.parse(text);
    const isList = Array.isArray(value);
    const isRight = field.shape === "list" ? isList : typeof value === "object" && value !== null && !isList;
    return isRight ? "" : `${field.label}: expected a JSON ${field.shape}, found something else.`;
  } catch (error) {
    return `${field.label}: expected JSON. ${error.message}`;
  }
}

function read() {
  try {
    const entries = Object.entries(JSON.parse(kept(KEPT_AS) || "{}"));
    return Object.fromEntries(entries.filter(([, value]) => typeof value === "string"));
  } catch {
    return {};
  }
}

function keep(changed) {
  values = changed;
  keepText(KEPT_AS, JSON.stringify(values));
}
