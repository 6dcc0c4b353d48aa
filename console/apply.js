// Apply: one application, scored at once, with everything that its score consists of.

import { ask } from "./api.js";
import { diverging, gauge } from "./charts.js";
import { el, fill, number, percent, say, signed, switchOff } from "./dom.js";
import { control } from "./form.js";
import { badge, into, panel, section, table, tierWords, trouble, warningsPanel } from "./parts.js";
import { fields, shown } from "./schema.js";

export function applyPage() {
  const form = el("div", { class: "panel" });
  const answer = el("div", { class: "answer" }, nothingYet());
  const element = section(
    "Apply",
    el("p", { class: "lead" }, "Score one application. Its decision is recorded."),
    el("div", { class: "two" }, form, answer),
  );
  let isMade = false;
  const load = () =>
    into(form, fields, (known) => {
      isMade = true;
      return applicationForm(known, answer);
    });
  return { element, enter: () => (isMade ? undefined : load()) };
}

const nothingYet = () => el("p", { class: "empty" }, "The answer appears here: the tier, the probability, and why.");

function applicationForm(known, answer) {
  const controls = new Map(known.map((field) => [field.name, control(field)]));
  const failure = el("div");
  const submit = el("button", { type: "submit", class: "main" }, "Score");
  const form = el(
    "form",
    { novalidate: true, autocomplete: "off", "aria-label": "Application" },
    el("p", { class: "note" }, el("span", { class: "must", "aria-hidden": "true" }, "*"), " marks what is required."),
    el(
      "div",
      { class: "fields" },
      [...controls.values()].map((made) => made.element),
    ),
    failure,
    el(
      "div",
      { class: "buttons" },
      submit,
      el("button", { type: "button", onclick: () => fillIn((field) => field.example) }, "Fill in the example"),
      el("button", { type: "button", class: "quiet", onclick: () => fillIn(() => undefined) }, "Clear"),
    ),
  );
  let isSending = false;
  let attempt = null; // what is being asked, and the id of its decision: the same one when it is tried again

  function fillIn(valueOf) {
    for (const field of known) controls.get(field.name).write(valueOf(field));
    clear();
    fill(answer, nothingYet());
    [...controls.values()][0]?.focus();
  }

  function clear() {
    fill(failure);
    for (const made of controls.values()) made.fail("");
  }

  async function send() {
    if (isSending) return;
    const given = {};
    for (const [name, made] of controls) {
      const value = made.read();
      if (value !== undefined) given[name] = value;
    }
    const text = JSON.stringify(given);
    if (attempt?.text !== text) attempt = { text, id: newId() };
    clear();
    isSending = true;
    switchOff(submit, true);
    answer.setAttribute("aria-busy", "true");
    try {
      const headers = { "x-channel": "api", "idempotency-key": attempt.id };
      const explained = await ask("explain", { method: "POST", body: given, headers });
      attempt = null;
      show(explained, given);
    } catch (problem) {
      refused(problem);
    } finally {
      isSending = false;
      switchOff(submit, false);
      answer.removeAttribute("aria-busy");
    }
  }

  function refused(problem) {
    const rest = [];
    let first = null;
    for (const { field, message } of problem.detail ?? []) {
      const made = controls.get(field);
      if (!made) rest.push(`${field}: ${message}`);
      else {
        made.fail(message);
        first ??= made;
      }
    }
    const isAboutFields = first !== null;
    fill(answer, nothingYet()); // what stood there was about another application
    fill(
      failure,
      trouble(problem, isAboutFields ? null : send),
      rest.length
        ? el(
            "ul",
            { class: "wrong" },
            rest.map((line) => el("li", {}, line)),
          )
        : null,
    );
    first?.focus();
  }

  function show(explained, given) {
    fill(answer, explanation(explained, given, known));
    say(`${tierWords(explained.tier)}, probability ${percent(explained.probability)}, ${explained.points} points`);
    const heading = answer.querySelector("h2");
    const seen = heading.getBoundingClientRect();
    // beside the form it is in sight; below it, on a narrow screen, it has to be gone to
    if (seen.bottom > innerHeight || seen.top < 0) heading.scrollIntoView({ block: "start" });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  return form;
}

/** An id that nobody else chooses; randomUUID is only there where the page came by TLS or from this machine. */
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function explanation(explained, given, known) {
  const drawn = el("div", {}, gauge(explained.probability));
  thresholds(explained.policy_version).then(
    ({ low, high }) => fill(drawn, gauge(explained.probability, low, high)),
    () => undefined,
  );
  return [
    el(
      "section",
      { class: `panel verdict ${explained.tier}` },
      el("h2", { tabindex: "-1" }, badge(explained.tier)),
      el(
        "p",
        { class: "headline" },
        el("span", { class: "big" }, percent(explained.probability)),
        el("span", {}, "probability of going bad"),
        el("span", {}, `${explained.points} points`),
      ),
      drawn,
      nextTier(explained),
      el(
        "p",
        { class: "note" },
        "Decision ",
        el("a", { href: `#decision/${encodeURIComponent(explained.decision_id)}` }, explained.decision_id),
      ),
    ),
    warningsPanel(explained.warnings),
    reasons(explained, given, known),
    changes(explained, given, known),
  ];
}

function nextTier({ next_tier: next }) {
  return next ? el("p", {}, `${tierWords(next.tier)} begins below ${percent(next.probability_below)}.`) : null;
}

// The policy's thresholds, asked for once for each policy; a key that may not read them gets the bar without marks.
const known_thresholds = new Map();

function thresholds(policy) {
  if (!known_thresholds.has(policy)) {
    const asked = ask("model/thresholds");
    asked.catch(() => known_thresholds.delete(policy));
    known_thresholds.set(policy, asked);
  }
  return known_thresholds.get(policy);
}

/** Every field that the model is given, with what it contributed, and the policy's sentence where it is a reason. */
function reasons(explained, given, known) {
  const said = new Map((explained.reasons ?? []).map((reason) => [reason.field, reason.text]));
  const byName = new Map(known.map((field) => [field.name, field]));
  const all = Object.entries(explained.contributions).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const most = Math.abs(all[0]?.[1] ?? 0);
  const rows = all.map(([name, contribution]) => [
    [
      byName.get(name)?.label ?? name,
      el("span", { class: "value" }, shown(byName.get(name), given[name])),
      said.has(name) ? el("span", { class: "says" }, said.get(name)) : null,
    ],
    diverging(contribution, most),
    `${signed(contribution)}${Math.abs(contribution) < 0.005 ? "" : contribution > 0 ? " against" : " for"}`,
  ]);
  const whom = explained.reasons_against === "all" ? "all applicants" : "applicants who just passed";
  return panel(
    "Reasons",
    el(
      "p",
      { class: "note" },
      "What each field adds to the log-odds of going bad: to the right it speaks against the application. ",
      `Sentences compare with ${whom}.`,
    ),
    table("Reasons", ["Field", "Effect", "Weight"], rows, [2]),
  );
}

function changes(explained, given, known) {
  if (!explained.next_tier) return null;
  const byName = new Map(known.map((field) => [field.name, field]));
  if (!explained.changes.length) {
    return panel(
      "What would change it",
      el("p", {}, "No change of one or two of the fields that an applicant can change reaches the next better tier."),
    );
  }
  const items = explained.changes.map(({ change, tier, probability, points }) =>
    el(
      "li",
      {},
      el(
        "span",
        {},
        Object.entries(change).map(([name, to], index) => [
          index ? " and " : null,
          el("strong", {}, byName.get(name)?.label ?? name),
          ` from ${shown(byName.get(name), given[name])} to ${shown(byName.get(name), to)}`,
        ]),
      ),
      el("span", { class: "value" }, ` ${tierWords(tier)}, ${percent(probability)}, ${number(points, 0)} points`),
    ),
  );
  return panel("What would change it", el("ul", { class: "changes" }, items));
}
