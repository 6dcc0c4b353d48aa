// A page that scores an application by itself. The form is made of what the model's file says of an application.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { PortableModel } from "../onnx/application.mjs";

ort.env.wasm.numThreads = 1; // more would need headers that isolate the page, and win nothing on one application

const byId = id => document.getElementById(id);
const [state, form, fields, json, answer] = ["state", "form", "fields", "json", "answer"].map(byId);

/** An element with attributes and what is in it; text stays text. */
function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

/** A control for a field of the schema, filled with its example. */
function control(name, field, required) {
  const id = `field-${name}`;
  const [value = ""] = field.examples ?? [];
  const shared = { id, name, required };
  const unit = field["x-unit"] ? ` (${field["x-unit"]})` : "";
  let input;
  if (field.enum) {
    const words = field.enum.filter(word => word !== null);
    const options = words.map(word => element("option", { value: word }, field["x-words"][word]));
    input = element("select", shared, ...(required ? [] : [element("option", { value: "" }, "–")]), ...options);
  } else {
    const step = field.type.includes("integer") ? 1 : "any";
    input = element("input", { ...shared, type: "number", step, min: field.minimum, max: field.maximum });
  }
  input.value = value;
  return element("div", {}, element("label", { htmlFor: id }, field.title + unit), input);
}

/** What the form says, as JSON; what is empty is left out. */
function written() {
  const controls = [...fields.elements].filter(input => input.value !== "");
  const values = controls.map(input => [input.name, input.type === "number" ? Number(input.value) : input.value]);
  return JSON.stringify(Object.fromEntries(values), null, 1);
}

function show({ error, message, detail, probability, tier, points, warnings, reasons }) {
  if (error) {
    answer.replaceChildren(element("h2", {}, message), list(detail));
    return;
  }
  const percent = probability.toLocaleString("en", { style: "percent", maximumFractionDigits: 4 });
  answer.replaceChildren(
    element("h2", {}, `${tier} risk`),
    element("p", {}, `Probability of going bad: ${percent}, ${points} points`),
    list(warnings.map(({ message }) => ({ message: `Note: ${message}` }))),
    list(reasons.map(({ text, contribution }) => ({ message: `${text} (${contribution})` }))),
  );
}

const list = items => element("ul", {}, ...items.map(item => element("li", {}, item.message)));

async function start() {
  const response = await fetch("/riskline.onnx");
  if (!response.ok) throw new Error(`the model did not come: status ${response.status}`);
  const model = await PortableModel.open(ort, new Uint8Array(await response.arrayBuffer()));
  const { properties, required = [] } = model.schema;
  fields.append(...Object.entries(properties).map(([name, field]) => control(name, field, required.includes(name))));
  json.value = written();
  fields.addEventListener("input", () => { json.value = written(); });
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const [scored] = await model.answers([json.value]);
    show(scored);
  });
  form.noValidate = true; // the model's own rules answer, whichever way the JSON came
  form.hidden = false;
  state.textContent = `Model ${model.answer.model_version}, policy ${model.answer.policy_version}`;
}

start().catch(error => { state.textContent = `There is no model to ask: ${error.message}`; });
