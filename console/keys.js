// The queue's keys: what they do, and whether single letters do anything.

import { el } from "./dom.js";

const KEYS = [
  ["j, ↓", "the next decision"],
  ["k, ↑", "the one before"],
  ["Enter", "go to the case"],
  ["a", "approve"],
  ["r", "decline"],
  ["n", "write a note; Esc leads back"],
  ["/", "go to the filters"],
  ["?", "this list"],
];
const KEYS_OFF = "riskline-keys-off";

/** Lists the keys, and lets somebody switch them off. */
export function helpDialog() {
  const on = el("input", {
    type: "checkbox",
    id: "keys-on",
    checked: !areKeysOff(),
    onchange: () => keepKeys(on.checked),
  });
  const dialog = el(
    "dialog",
    { "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title" }, "Keys"),
    el(
      "dl",
      { class: "facts" },
      KEYS.map(([keys, does]) =>
        el(
          "div",
          {},
          el(
            "dt",
            {},
            keys.split(", ").flatMap((key, index) => [index ? " or " : "", el("kbd", {}, key)]),
          ),
          el("dd", {}, does),
        ),
      ),
    ),
    el("p", { class: "radios" }, el("label", {}, on, el("span", {}, "Single letters do something"))),
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close"),
    ),
  );
  return dialog;
}

// Speech input and stray keys can set single letters off, so that they can be switched off.
let keysOff = null;

export function areKeysOff() {
  if (keysOff === null) {
    try {
      keysOff = localStorage.getItem(KEYS_OFF) === "true";
    } catch {
      keysOff = false;
    }
  }
  return keysOff;
}

function keepKeys(isOn) {
  keysOff = !isOn;
  try {
    localStorage.setItem(KEYS_OFF, String(keysOff));
  } catch {
    // then it lasts as long as the page
  }
}
