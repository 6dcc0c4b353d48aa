// What several pages show in the same way.

import { hasKey, newKey } from "./api.js";
import { tierIcon } from "./charts.js";
import { el, fill } from "./dom.js";

export const TIERS = ["low", "medium", "high"];
const WORDS = { low: "Low risk", medium: "Medium risk", high: "High risk" };
const STATES = {
  "": "no review needed",
  queued: "waits for review",
  approved: "approved",
  declined: "declined",
  conflict: "reviewers differ",
};

export const tierWords = (tier) => WORDS[tier] ?? tier;
export const stateWords = (state) => STATES[state] ?? state;

export const badge = (tier) => el("span", { class: `badge ${tier}` }, tierIcon(tier), el("span", {}, tierWords(tier)));
export const chip = (state) => el("span", { class: `chip ${state}` }, stateWords(state));

/** A page: a section with its heading, which is what gets the focus when the page is gone to. */
export function section(title, ...children) {
  return el(
    "section",
    { class: "page", "aria-labelledby": "page-title" },
    el("h1", { id: "page-title", tabindex: "-1" }, title),
    children,
  );
}

export const panel = (title, ...children) => el("section", { class: "panel" }, el("h2", {}, title), children);

/** Rows of cells under a header; the first cell of a row names it. `numeric` are the columns that hold numbers. */
export function table(caption, heads, rows, numeric = []) {
  const kind = (index) => (numeric.includes(index) ? "num" : null);
  const place = el(
    "div",
    { class: "scroll" },
    el(
      "table",
      {},
      el("caption", { class: "unseen" }, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head, index) => el("th", { scope: "col", class: kind(index) }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((cells) =>
          el(
            "tr",
            {},
            cells.map((cell, index) =>
              index === 0 ? el("th", { scope: "row" }, cell) : el("td", { class: kind(index) }, cell),
            ),
          ),
        ),
      ),
    ),
  );
  place.dataset.caption = caption;
  widths.observe(place);
  return place;
}

// A table that is wider than its place can be scrolled by keyboard; all others are no stop on the way through the page.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const isWider = target.scrollWidth > target.clientWidth;
    const attributes = { tabindex: "0", role: "region", "aria-label": target.dataset.caption };
    for (const [name, value] of Object.entries(attributes)) {
      if (isWider) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});

/** What the colours of a drawing mean: [class, words] each. */
export const legend = (all) =>
  el(
    "p",
    { class: "note" },
    all.map(([name, words]) => el("span", {}, el("span", { class: `legend ${name}`, "aria-hidden": "true" }), words)),
  );

/** Names and what they are, without a header. */
export const facts = (rows) =>
  el(
    "dl",
    { class: "facts" },
    rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );

export function warningsPanel(warnings) {
  if (!warnings?.length) return null;
  return panel(
    "Warnings",
    el(
      "ul",
      { class: "warnings" },
      warnings.map((warning) => el("li", {}, sentence(warning.message))),
    ),
  );
}

/** What went wrong, in the service's words, with what can be done about it. */
export function trouble(problem, again) {
  const buttons = el("div", { class: "buttons" });
  if (again) buttons.append(el("button", { type: "button", onclick: again }, "Try again"));
  if (problem.status === 403 || (problem.status === 401 && hasKey())) {
    buttons.append(
      el("button", { type: "button", onclick: () => newKey(false).then(again, () => undefined) }, "Use another key"),
    );
  }
  return el("div", { class: "trouble", role: "alert" }, el("p", {}, told(problem)), buttons);
}

/** A problem as a sentence. */
export function told(problem) {
  if (!("status" in problem)) return "Something on this page has gone wrong. Load it again, and tell who runs it.";
  const text = sentence(problem.message);
  if (problem.status === 403) return `This key may not do that: ${problem.message}.`;
  if (problem.retryAfter) return `${text} It can be asked again in ${problem.retryAfter} s.`;
  return text;
}

export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** What is being loaded for `place` is not wanted there any more. */
export function outdate(place) {
  place.turn = (place.turn ?? 0) + 1;
  return place.turn;
}

/** Shows in `place` what `load` comes to, made by `show`; where it fails, why, and a button that tries again. */
export async function into(place, load, show) {
  const turn = outdate(place);
  place.setAttribute("aria-busy", "true");
  try {
    const loaded = await load();
    if (place.turn === turn) fill(place, show(loaded));
  } catch (problem) {
    if (!("status" in problem)) console.error(problem);
    if (place.turn === turn)
      fill(
        place,
        trouble(problem, () => into(place, load, show)),
      );
  } finally {
    if (place.turn === turn) place.removeAttribute("aria-busy");
  }
}
