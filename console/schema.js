// What an application consists of, as the service's own document tells it: no field is known here by name.

import { ask } from "./api.js";
import { number } from "./dom.js";

let loading = null;

/** The fields in their order; asked for once, and again after a failure. */
export function fields() {
  // the page has asked for it before its scripts were there
  loading ??= ask("docs.json", { cache: "default" }).then(
    (document) => fieldsOf(document.components.schemas.Application),
    (problem) => {
      loading = null;
      throw problem;
    },
  );
  return loading;
}

function fieldsOf(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).map(([name, said]) => {
    const types = [said.type].flat();
    const words = said.enum?.filter((word) => word !== null);
    return {
      name,
      label: said.title ?? name,
      help: said.description ?? "",
      unit: said["x-unit"] ?? "",
      words: words ? new Map(words.map((word) => [word, said["x-words"]?.[word] ?? word])) : null,
      isWhole: types.includes("integer"),
      isProtected: said["x-protected"] === true,
      isRequired: required.has(name),
      low: said.minimum ?? null,
      high: said.maximum ?? null,
      example: said.examples?.[0],
    };
  });
}

/** A value as a person reads it; `field` may be missing where a decision is older than the schema. */
export function shown(field, value) {
  if (value === null || value === undefined) return "not given";
  if (field?.words) return field.words.get(value) ?? String(value);
  if (typeof value !== "number") return String(value);
  return field?.unit ? `${number(value)} ${field.unit}` : number(value);
}

/** Every field of an application with its value: those of the schema in its order, then what it does not know. */
export function pairs(known, application) {
  const names = new Set(known.map((field) => field.name));
  const others = Object.keys(application).filter((name) => !names.has(name));
  return [...known, ...others.map((name) => ({ name, label: name }))].map((field) => [field, application[field.name]]);
}
