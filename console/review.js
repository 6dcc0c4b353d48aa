// A reviewer's verdict: who says it, a note, and what happens where somebody else has said something meanwhile.

import { ask } from "./api.js";
import { el, fill, switchOff } from "./dom.js";
import { trouble } from "./parts.js";

const NAME = "riskline-reviewer";
const drafts = new Map(); // decision's id → a note that is not sent yet

let reviewer = stored();

const nameInput = el("input", {
  id: "reviewer-name",
  type: "text",
  maxlength: 128,
  autocomplete: "name",
  required: true,
});
const nameDialog = el(
  "dialog",
  { "aria-labelledby": "reviewer-title" },
  el(
    "form",
    { method: "dialog" },
    el("h2", { id: "reviewer-title" }, "Who is reviewing?"),
    el("p", {}, "A review carries its reviewer’s name. It is kept in this browser."),
    el("label", { for: "reviewer-name" }, "Your name"),
    nameInput,
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "submit", class: "main" }, "Go on"),
      el("button", { type: "button", onclick: () => nameDialog.close("") }, "Cancel"),
    ),
  ),
);
document.body.append(nameDialog);
nameDialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (nameInput.value.trim()) nameDialog.close("given");
});

/** The reviewer's name, asked for once and kept in this browser; null where none is given. */
function askName() {
  nameInput.value = reviewer ?? "";
  nameDialog.returnValue = "";
  nameDialog.showModal();
  return new Promise((resolve) => {
    nameDialog.onclose = () => {
      if (nameDialog.returnValue !== "given") return resolve(null);
      reviewer = nameInput.value.trim();
      try {
        localStorage.setItem(NAME, reviewer);
      } catch {
        // the browser keeps nothing: then the name lasts as long as the page
      }
      return resolve(reviewer);
    };
  });
}

function stored() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** {element, give, note} for a decision; `done(decision, verdict)` hears of a review, `changed(decision)` of others'. */
export function reviewForm(decision, done, changed) {
  const id = decision.facts.id;
  const message = el("div");
  const note = el("textarea", { id: "note", maxlength: 2000, rows: 2, oninput: () => drafts.set(id, note.value) });
  note.value = drafts.get(id) ?? "";
  const who = el("p", { class: "note" });
  const buttons = [
    el("button", { type: "button", class: "approve", onclick: () => give("approve") }, "Approve"),
    el("button", { type: "button", class: "decline", onclick: () => give("decline") }, "Decline"),
  ];
  let seen = decision.reviews.length;
  let isBusy = false;

  function named() {
    const change = async () => {
      await askName();
      named();
    };
    fill(
      who,
      reviewer
        ? [`Reviewing as ${reviewer}. `, el("button", { type: "button", class: "quiet", onclick: change }, "Change")]
        : null,
    );
  }

  async function give(verdict) {
    if (isBusy) return;
    isBusy = true;
    try {
      const name = reviewer ?? (await askName());
      if (!name) return;
      named();
      fill(message);
      buttons.forEach((button) => switchOff(button, true));
      const body = { reviewer: name, verdict, seen };
      if (note.value.trim()) body.note = note.value.trim();
      const after = await ask(`decisions/${encodeURIComponent(id)}/review`, { method: "POST", body });
      drafts.delete(id);
      done(after, verdict);
    } catch (problem) {
      await refused(problem, verdict);
    } finally {
      isBusy = false;
      buttons.forEach((button) => switchOff(button, false));
    }
  }

  async function refused(problem, verdict) {
    if (problem.code !== "outdated") {
      if (!("status" in problem)) console.error(problem);
      fill(
        message,
        trouble(problem, () => give(verdict)),
      );
      return;
    }
    try {
      const now = await ask(`decisions/${encodeURIComponent(id)}`);
      fill(message, meanwhile(now.reviews.slice(seen)));
      seen = now.reviews.length;
      changed(now);
    } catch (other) {
      fill(
        message,
        trouble(other, () => refused(problem, verdict)),
      );
    }
  }

  named();
  const element = el(
    "div",
    { role: "group", "aria-label": "Review" },
    message,
    el("label", { for: "note", class: "label" }, "Note"),
    note,
    el("div", { class: "buttons" }, buttons, who),
  );
  return { element, give, note };
}

/** What others have said since the case was opened: a verdict is given in sight of it, or not at all. */
function meanwhile(reviews) {
  const said = reviews.map(({ reviewer: who, verdict, note }) => {
    const what = `${who} has ${verdict === "approve" ? "approved" : "declined"} it`;
    return note ? `${what}: “${note}”` : what;
  });
  const text = said.length ? `Meanwhile ${said.join("; ")}.` : "The decision has changed meanwhile.";
  return el(
    "div",
    { class: "notice", role: "alert" },
    el("p", {}, el("strong", {}, "Not sent. "), text),
    el("p", {}, "Your note is kept. Decide again if you stand by your verdict."),
  );
}
