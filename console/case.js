// A decision as people read it: its application in words, warnings, reasons, what reviewers said.

import { diverging } from "./charts.js";
import { el, moment, percent, signed } from "./dom.js";
import { badge, chip, facts, panel, table } from "./parts.js";
import { pairs, shown } from "./schema.js";

const WHYS = {
  tier: "its tier",
  range: "a value outside the training range",
  threshold: "a probability close to a threshold",
  confidence: "a value that was read with little certainty",
};

/** The head of a decision: tier, probability, points, state. */
export function headline(decision) {
  const { facts: fact } = decision;
  return el(
    "div",
    { class: "headline" },
    badge(fact.tier),
    el("span", { class: "big" }, percent(fact.probability)),
    el("span", {}, `${fact.points} points`),
    chip(decision.state),
  );
}

export function applicationPanel(decision, known) {
  if (decision.forgotten || !decision.application) {
    return panel(
      "Application",
      el(
        "p",
        { class: "note" },
        "Forgotten: the personal data of this decision were erased. Its facts stay, and the chain still holds.",
      ),
    );
  }
  const rows = pairs(known, decision.application).map(([field, value]) => [
    [field.label, field.isProtected ? el("span", { class: "may" }, " not given to the model") : null],
    shown(field, value),
  ]);
  return panel("Application", table("Application", ["Field", "Value"], rows));
}

/** At most four reasons, in the policy's words. */
export function reasonsPanel(reasons) {
  if (!reasons?.length) return null;
  const most = Math.max(...reasons.map((reason) => Math.abs(reason.contribution)));
  const rows = reasons.map((reason) => [
    reason.text,
    diverging(reason.contribution, most),
    `${signed(reason.contribution)} ${reason.contribution > 0 ? "against" : "for"}`,
  ]);
  return panel("Reasons", table("Reasons", ["Reason", "Effect", "Weight"], rows, [2]));
}

export function reviewsPanel(decision) {
  const { reviews, facts: fact } = decision;
  const why = fact.review?.length
    ? el(
        "p",
        { class: "note" },
        `A person should look at it because of ${fact.review.map((code) => WHYS[code] ?? code).join(" and ")}.`,
      )
    : null;
  if (!reviews.length) return panel("Reviews", why, el("p", {}, "Nobody has reviewed it yet."));
  return panel(
    "Reviews",
    why,
    el(
      "ol",
      { class: "reviews" },
      reviews.map((review) =>
        el(
          "li",
          {},
          el(
            "p",
            {},
            el("strong", {}, review.reviewer),
            review.verdict === "approve" ? " approved, " : " declined, ",
            moment(review.time),
          ),
          review.note ? el("p", { class: "quote" }, review.note) : null,
        ),
      ),
    ),
  );
}

export function outcomesPanel(outcomes) {
  if (!outcomes.length) return panel("Outcome", el("p", {}, "Not known yet."));
  return panel(
    "Outcome",
    table(
      "Outcome",
      ["Outcome", "Since", "Told"],
      outcomes.map((outcome) => [
        outcome.outcome === "bad" ? "went bad" : "went well",
        outcome.date,
        moment(outcome.time),
      ]),
    ),
  );
}

/** What the channel had sent before it became an application, where that was kept. */
export function sourcePanel(decision, known) {
  const source = decision.source;
  if (!source) return null;
  const labels = new Map(known.map((field) => [field.name, field.label]));
  const rows = Object.entries(source.fields ?? {}).map(([name, came]) => [
    labels.get(name) ?? name,
    came.key ?? "",
    came.value === null || came.value === undefined ? "" : String(came.value),
    typeof came.confidence === "number" ? percent(came.confidence, 0) : "",
  ]);
  return panel(
    "As it came",
    source.form ? el("p", { class: "note" }, `Form: ${source.form}`) : null,
    table("As it came", ["Field", "Called", "Sent", "Certain"], rows, [3]),
    source.unused?.length ? el("p", { class: "note" }, `Not used: ${source.unused.join("; ")}`) : null,
  );
}

export function recordPanel(decision, ...children) {
  const { facts: fact, record } = decision;
  return panel(
    "Record",
    facts([
      ["Decision", el("code", {}, fact.id)],
      ["Made", moment(fact.time)],
      ["Channel", fact.channel],
      ["Model", el("code", {}, fact.model_version)],
      ["Policy", el("code", {}, fact.policy_version)],
      ["Schema", el("code", {}, fact.schema_version)],
      ["Request", el("code", {}, fact.request_id)],
      ["Place in the chain", [`${record.number} of `, el("code", {}, record.chain)]],
      ["Hash", el("code", {}, record.hash)],
      ["Digest of the personal part", el("code", {}, record.digest)],
    ]),
    children,
  );
}
