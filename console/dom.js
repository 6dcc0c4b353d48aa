// Making elements. Text is only ever set as text: what somebody wrote into a note stays what they wrote.

const SVG = "http://www.w3.org/2000/svg";
const said = document.getElementById("said");

/** el("p", {class: "note", onclick: f}, "text", child): attributes by name, listeners by on…; null and false are none. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

/** Replaces what is in `node`. */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Switches a button off without taking the focus from it, as `disabled` would. */
export function switchOff(button, off) {
  if (off) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

/** Tells those who do not see the page what has changed on it. */
export function say(text) {
  said.textContent = "";
  // a text that is said twice is a change only if there was something else in between
  requestAnimationFrame(() => (said.textContent = text));
}

// Written here and not by Intl, whose first use costs a slow machine more than all other scripts together.
function decimal(value, least, most) {
  if (!Number.isFinite(value)) return String(value);
  const [whole, rest = ""] = Math.abs(value).toFixed(most).split(".");
  const part = rest.replace(/0+$/, "").padEnd(least, "0");
  const text = `${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${part ? `.${part}` : ""}`;
  return value < 0 && /[1-9]/.test(text) ? `-${text}` : text;
}

let moments = null; // made when the first one is shown

export const percent = (share, digits = 1) => `${decimal(share * 100, digits, digits)}%`;

export const number = (value, digits = 2) => decimal(value, 0, digits);

/** With its sign; what rounds to nothing has none. */
export function signed(value, digits = 2) {
  const text = decimal(Math.abs(value), digits, digits);
  return `${Number(text) === 0 ? "" : value > 0 ? "+" : "−"}${text}`;
}

/** 1 application, 2 applications. */
export const count = (amount, word) => `${number(amount, 0)} ${word}${amount === 1 ? "" : "s"}`;

/** An RFC 3339 time in the reader's own zone. */
export function when(time) {
  const date = new Date(time);
  moments ??= new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
  return Number.isNaN(date.getTime()) ? String(time) : moments.format(date);
}

export const moment = (time) => el("span", { title: time }, when(time));

/** Waits until nothing has happened for `ms`, then does it once. */
export function settled(ms, action) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), ms);
  };
}
