// Text → an application, or what is wrong with it in the service's own words. The rules are those of the JSON Schema that
// travels in the model's file; no field is known here.

const LONGEST_NAME_REPEATED = 64;
const MOST_PROBLEMS_TOLD = 50;
const PROBLEM = {
  unknown: () => "this field is not part of an application",
  duplicate: () => "this field was sent more than once",
  object: () => "an application must be a JSON object",
  required: field => `${field.title} is required and must be ${field["x-rule"]}`,
};

/** Why there is no score; `body` has the form of the service's errors, and never a value. */
export class Refused extends Error {
  constructor(error, message, detail = []) {
    super(message);
    this.body = { error, message, detail };
  }
}

/** A JSON object in a text → the application; Refused where it breaks a rule of the schema. */
export function decoded(text, schema) {
  let application;
  try {
    application = JSON.parse(text);
  } catch {
    throw new Refused("malformed_body", "the application is not valid JSON"); // the parser's own message repeats values
  }
  const keys = keysIn(text);
  const problems = problemsOf(application, keys, schema);
  refuse(problems.length ? problems : repeated(keys));
  return Object.assign(Object.create(null), application); // what was not sent is undefined, whatever a field is called
}

function refuse(problems) {
  if (!problems.length) return;
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  throw new Refused("invalid_application", `the application has ${count}`, problems.slice(0, MOST_PROBLEMS_TOLD));
}

function problemsOf(application, keys, schema) {
  if (typeof application !== "object" || application === null || Array.isArray(application)) {
    return [problem("", "object")];
  }
  const known = Object.entries(schema.properties).map(([name, field]) => {
    const rule = Object.hasOwn(application, name) ? broken(application[name], field) : schema.required?.includes(name) && "required";
    return rule && problem(name, rule, field);
  });
  const sent = [...new Set(keys)].filter(name => Object.hasOwn(application, name));
  const unknown = sent.filter(name => !Object.hasOwn(schema.properties, name));
  return [...known.filter(Boolean), ...unknown.map(name => problem(name, "unknown"))];
}

/** The rule that a value breaks, if it does. */
function broken(value, field) {
  if (field.enum) return field.enum.includes(value) ? null : "category";
  if (value === null && field.type.includes("null")) return null;
  if (typeof value !== "number") return "type";
  if (!Number.isFinite(value)) return "finite"; // 1e999
  if (field.type.includes("integer") && !isWhole(value)) return "whole";
  return value < field.minimum || value > field.maximum ? "range" : null;
}

/** Up to a billionth, as the service judges it. */
function isWhole(value) {
  return Math.abs(value - Math.round(value)) <= 1e-9;
}

/** The keys of a JSON object in its text's order, which JavaScript's objects change, and as often as they came. */
function keysIn(text) {
  const keys = [];
  let depth = 0;
  for (const [token, word, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g)) {
    if (!word) depth += "{[".includes(token) ? 1 : -1;
    else if (colon && depth === 1) keys.push(JSON.parse(word));
  }
  return keys;
}

/** JSON.parse keeps the last of equal keys and says nothing. */
function repeated(keys) {
  const twice = keys.filter((name, at) => keys.indexOf(name) === at && keys.lastIndexOf(name) !== at);
  return twice.map(name => problem(name, "duplicate"));
}

function problem(name, rule, field) {
  const message = PROBLEM[rule]?.(field) ?? `${field.title} must be ${field["x-rule"]}`;
  return { field: [...name].slice(0, LONGEST_NAME_REPEATED).join(""), rule, message };
}
