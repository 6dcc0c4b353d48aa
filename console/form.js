// One control for each field of the schema. Nothing is checked here: the service is the judge, and its words are shown.

import { el, fill, number } from "./dom.js";

const MOST_RADIOS = 3;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** {element, read, write, fail, focus} for a field of the schema. */
export function control(field) {
  const id = `field-${field.name}`;
  const hint = el("p", { class: "hint", id: `${id}-hint` }, hints(field));
  const error = el("p", { class: "wrong", id: `${id}-error`, hidden: true });
  const described = `${id}-hint ${id}-error`;
  const made = !field.words
    ? entry(field, id, described)
    : field.words.size <= MOST_RADIOS
      ? radios(field, id, described)
      : choice(field, id, described);
  const mark = field.isRequired
    ? el("span", { class: "must", "aria-hidden": "true" }, "*")
    : el("span", { class: "may" }, "optional");
  const element = el(
    "div",
    { class: "field" },
    el("div", { class: "label" }, made.label, mark),
    made.element,
    hint,
    error,
  );
  return {
    element,
    read: made.read,
    write: made.write,
    focus: () => made.target().focus(),
    fail(message) {
      error.hidden = message === "";
      error.textContent = message;
      if (message) made.checked.setAttribute("aria-invalid", "true");
      else made.checked.removeAttribute("aria-invalid");
    },
  };
}

function hints(field) {
  const parts = [];
  if (field.low !== null && field.high !== null) parts.push(`${number(field.low)} to ${number(field.high)}`);
  if (field.isProtected) parts.push("Only for checks of fairness: the model is not given it.");
  return parts.join(". ") || (field.words ? "" : field.help);
}

function entry(field, id, described) {
  const input = el("input", {
    id,
    name: field.name,
    type: "text",
    inputmode: field.isWhole ? "numeric" : "decimal",
    autocomplete: "off",
    "aria-describedby": field.unit ? `${id}-unit ${described}` : described,
    "aria-required": String(field.isRequired),
  });
  const unit = field.unit ? el("span", { class: "unit", id: `${id}-unit` }, field.unit) : null;
  return {
    element: el("div", { class: "entry" }, input, unit),
    label: el("label", { for: id }, field.label),
    checked: input,
    target: () => input,
    read: () => numberIn(input.value),
    write: (value) => (input.value = value ?? ""),
  };
}

/** A number where it is one; whatever else was typed goes to the service as it is, which says what is wrong with it. */
export function numberIn(text) {
  const typed = text.trim();
  if (typed === "") return undefined;
  const value = NUMBER.test(typed) ? Number(typed) : Number.NaN;
  return Number.isFinite(value) ? value : typed;
}

function choice(field, id, described) {
  const select = el(
    "select",
    { id, name: field.name, "aria-describedby": described, "aria-required": String(field.isRequired) },
    el("option", { value: "" }, field.isRequired ? "Choose…" : "Not given"),
    [...field.words].map(([word, label]) => el("option", { value: word }, label)),
  );
  return {
    element: select,
    label: el("label", { for: id }, field.label),
    checked: select,
    target: () => select,
    read: () => select.value || undefined,
    write: (value) => (select.value = value ?? ""),
  };
}

function radios(field, id, described) {
  const options = [...field.words];
  if (!field.isRequired) options.push(["", "not given"]);
  const group = el("div", {
    class: "radios",
    role: "radiogroup",
    id,
    "aria-labelledby": `${id}-label`,
    "aria-describedby": described,
    "aria-required": String(field.isRequired),
  });
  fill(
    group,
    options.map(([word, label]) =>
      el(
        "label",
        {},
        el("input", { type: "radio", name: field.name, value: word, checked: word === "" }),
        el("span", {}, label),
      ),
    ),
  );
  const all = () => [...group.querySelectorAll("input")];
  const chosen = () => all().find((input) => input.checked);
  return {
    element: group,
    label: el("span", { id: `${id}-label` }, field.label),
    checked: group,
    target: () => chosen() ?? all()[0],
    read: () => chosen()?.value || undefined,
    write: (value) => all().forEach((input) => (input.checked = input.value === (value ?? ""))),
  };
}
