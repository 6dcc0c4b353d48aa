// Decision: everything that is known of one, and whether its record still proves it.

import { ask } from "./api.js";
import {
  applicationPanel,
  headline,
  outcomesPanel,
  reasonsPanel,
  recordPanel,
  reviewsPanel,
  sourcePanel,
} from "./case.js";
import { el, fill, percent } from "./dom.js";
import { into, section, sentence, tierWords, warningsPanel } from "./parts.js";
import { fields } from "./schema.js";

const CHECKS = { digest: "Personal part", hash: "This record", before: "The record before", after: "The record after" };

export function decisionPage() {
  const input = el("input", {
    id: "decision-id",
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
  });
  const shown = el("div");
  let current = "";

  function load(id) {
    current = id;
    const both = () => Promise.all([ask(pathOf(id)), fields()]);
    return into(shown, both, ([decision, known]) => whole(decision, known));
  }

  function search(event) {
    event.preventDefault();
    const id = input.value.trim();
    const hash = `#decision/${encodeURIComponent(id)}`;
    if (!id) input.focus();
    else if (location.hash === hash) load(id);
    else location.hash = hash;
  }

  const element = section(
    "Decision",
    el(
      "form",
      { class: "search", role: "search", onsubmit: search },
      el("div", {}, el("label", { for: "decision-id", class: "label" }, "Decision id"), input),
      el("button", { type: "submit", class: "main" }, "Show"),
    ),
    shown,
  );
  return {
    element,
    enter(id) {
      // without an id the one that was looked at last is still there
      if (id) {
        input.value = id;
        return load(id);
      }
      if (!current)
        fill(
          shown,
          el(
            "p",
            { class: "empty" },
            "Every answer has a decision id: write it above to see what was decided, why, and what became of it.",
          ),
        );
      return undefined;
    },
  };
}

const pathOf = (id) => `decisions/${encodeURIComponent(id)}`;

function whole(decision, known) {
  const id = decision.facts.id;
  const proof = el("div", { role: "status" });
  const replay = el("div", { role: "status" });
  const check = () =>
    into(
      proof,
      () => ask(`${pathOf(id)}?proof=true`),
      ({ proof: found }) => proved(found),
    );
  const again = () =>
    into(
      replay,
      () => ask(`${pathOf(id)}?replay=true`),
      ({ replay: found }) => replayed(found, decision.facts),
    );
  return el(
    "div",
    {},
    el("section", { class: "panel", "aria-label": "Summary" }, headline(decision)),
    el(
      "div",
      { class: "halves" },
      el("div", {}, warningsPanel(decision.warnings), applicationPanel(decision, known), sourcePanel(decision, known)),
      el(
        "div",
        {},
        reasonsPanel(decision.reasons),
        reviewsPanel(decision),
        outcomesPanel(decision.outcomes),
        recordPanel(
          decision,
          el(
            "div",
            { class: "buttons" },
            el("button", { type: "button", onclick: check }, "Check the proof"),
            el("button", { type: "button", onclick: again }, "Replay"),
          ),
          proof,
          replay,
        ),
      ),
    ),
  );
}

const verdict = (isGood, good, bad) =>
  el("span", { class: isGood ? "holds" : "breaks" }, isGood ? `✓ ${good}` : `✗ ${bad}`);

function proved(proof) {
  if (!proof) return el("p", {}, "This service shows no proofs.");
  return [
    el("h3", {}, "Proof: ", verdict(proof.holds, "holds", "does not hold")),
    el(
      "ul",
      { class: "checks" },
      proof.checks.map((check) =>
        el(
          "li",
          {},
          verdict(check.holds, "", ""),
          el("span", {}, el("strong", {}, `${CHECKS[check.what] ?? check.what}: `), sentence(check.says)),
        ),
      ),
    ),
  ];
}

function replayed(replay, fact) {
  if (!replay) return el("p", {}, "This service replays nothing.");
  const isKnown = replay.equal !== null && replay.equal !== undefined;
  const said = el("p", {}, sentence(replay.says));
  if (!isKnown) return [el("h3", {}, "Replay: not possible"), said];
  const differs = replay.equal
    ? null
    : el(
        "p",
        {},
        `Recorded: ${percent(fact.probability, 4)}, ${tierWords(fact.tier)}, ${fact.points} points. ` +
          `Scored again: ${percent(replay.probability, 4)}, ${tierWords(replay.tier)}, ${replay.points} points.`,
      );
  return [el("h3", {}, "Replay: ", verdict(replay.equal, "equal", "not equal")), said, differs];
}
