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
  const problems = problemsOf(application, schema);
  refuse(problems.length ? problems : repeated(text, application));
  return application;
}

function refuse(problems) {
  if (!problems.length) return;
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  throw new Refused("invalid_application", `the application has ${count}`, problems.slice(0, MOST_PROBLEMS_TOLD));
}

function problemsOf(application, schema) {
  if (typeof application !== "object" || application === null || Array.isArray(application)) {
    return [problem("", "object")];
  }
  const known = Object.entries(schema.properties).map(([name, field]) => {
    const sent = Object.hasOwn(application, name);
    const rule = sent ? broken(application[name], field) : schema.required.includes(name) && "required";
    return rule && problem(name, rule, field);
  });
  const unknown = Object.keys(application).filter(name => !Object.hasOwn(schema.properties, name));
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

/** JSON.parse keeps the last of equal keys and says nothing; a valid application holds no keys but its own. */
function repeated(text, application) {
  const keys = [...text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?/g)].filter(([, , colon]) => colon);
  if (keys.length === Object.keys(application).length) return [];
  const names = keys.map(([, key]) => JSON.parse(key));
  const twice = names.filter((name, at) => names.indexOf(name) === at && names.lastIndexOf(name) !== at);
  return twice.map(name => problem(name, "duplicate"));
}

function problem(name, rule, field) {
  const message = PROBLEM[rule]?.(field) ?? `${field.title} must be ${field["x-rule"]}`;
  return { field: [...name].slice(0, LONGEST_NAME_REPEATED).join(""), rule, message };
}
