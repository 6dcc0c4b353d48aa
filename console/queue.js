// Queue: the decisions that wait for a person, one after the other, by keyboard alone if one likes.

import { ask } from "./api.js";
import { applicationPanel, headline, reasonsPanel, reviewsPanel, sourcePanel } from "./case.js";
import { tierIcon } from "./charts.js";
import { count, el, fill, percent, say, settled, switchOff, when } from "./dom.js";
import { filterForm } from "./filters.js";
import { areKeysOff, helpDialog } from "./keys.js";
import { into, outdate, section, stateWords, tierWords, trouble, warningsPanel } from "./parts.js";
import { reviewForm } from "./review.js";
import { fields } from "./schema.js";
import { windowedList } from "./window.js";

const AT_ONCE = 100; // decisions asked for in one request
const OPEN_AFTER_MS = 120; // of rest: whoever runs through the list does not want to see each case

export function queuePage() {
  const openSoon = settled(OPEN_AFTER_MS, open);
  const list = windowedList("Decisions", rowOf, selected, more);
  const detail = el("div", { class: "case" });
  const status = el("p", { role: "status" });
  const button = el("button", { type: "button", onclick: () => more(true) }, "Load more");
  const failure = el("div");
  const filters = filterForm(restart);
  const help = helpDialog();
  const element = section(
    "Queue",
    el(
      "div",
      { class: "head" },
      el("p", { class: "lead" }, "Decisions that wait for a person, oldest first."),
      el(
        "div",
        {},
        el("button", { type: "button", class: "quiet", onclick: restart }, "Look again"),
        el("button", { type: "button", class: "quiet", onclick: () => help.showModal() }, "Keys"),
      ),
    ),
    filters.element,
    el(
      "div",
      { class: "queue" },
      el("div", { class: "list" }, list.element, failure, el("div", { class: "foot" }, status, button)),
      detail,
    ),
    help,
  );
  let turn = 0; // answers to filters that are not set any more are not wanted
  let cursor = null;
  let unreadable = []; // ids
  let isLoading = false;
  let hasFailed = false;
  let form = null;
  let scrolled = 0;

  function restart() {
    turn += 1;
    cursor = null;
    unreadable = [];
    isLoading = hasFailed = false;
    form = null;
    list.clear();
    outdate(detail);
    fill(detail);
    return more();
  }

  async function more(isAsked) {
    // after a failure nothing is asked for by scrolling, only by a person
    if (isLoading || (hasFailed && !isAsked)) return;
    const mine = turn;
    isLoading = true;
    hasFailed = false;
    fill(failure);
    switchOff(button, true);
    list.element.setAttribute("aria-busy", "true");
    try {
      const query = new URLSearchParams({ ...filters.read(), limit: AT_ONCE });
      if (cursor !== null) query.set("cursor", cursor);
      const page = await ask(`decisions?${query}`);
      if (mine !== turn) return;
      cursor = page.next;
      unreadable.push(...page.unreadable);
      list.append(page.decisions, cursor === null);
      if (list.active < 0 && list.length) list.activate(0);
    } catch (problem) {
      if (mine !== turn) return;
      hasFailed = true;
      fill(
        failure,
        trouble(problem, () => more(true)),
      );
    } finally {
      if (mine === turn) {
        isLoading = false;
        switchOff(button, false);
        list.element.removeAttribute("aria-busy");
        tell();
        list.draw();
      }
    }
  }

  function tell(first = "") {
    const nothing = hasFailed ? "" : "Nothing here. The filters may hide something.";
    const amount = `${count(list.length, "decision")}${cursor === null ? "" : ", and more"}`;
    const damaged = unreadable.length ? ` Changed, and cannot be read: ${unreadable.join(", ")}.` : "";
    status.textContent = `${first}${list.length ? amount : nothing}${damaged}`;
    button.hidden = cursor === null;
  }

  function selected(item) {
    form = null; // a key that comes before the case is in sight is not for the one before it …
    outdate(detail);
    fill(detail, el("p", { class: "empty" }, "…")); // … and neither is a click
    openSoon(item);
  }

  function open(item) {
    if (list.item !== item) return undefined; // the filters have changed meanwhile
    const load = () => Promise.all([ask(`decisions/${encodeURIComponent(item.id)}`), fields()]);
    return into(detail, load, ([decision, known]) => {
      // the two parts that change where somebody else reviews it meanwhile
      const head = el("div", {}, headline(decision));
      const reviews = el("div", {}, reviewsPanel(decision));
      const changed = (now) => {
        fill(head, headline(now));
        fill(reviews, reviewsPanel(now));
      };
      // of what was forgotten nobody can say anything any more
      form = decision.forgotten ? null : reviewForm(decision, reviewed, changed);
      return [
        el(
          "section",
          { class: "panel", "aria-labelledby": "case-title" },
          el("h2", { id: "case-title", class: "unseen", tabindex: "-1" }, `Case ${item.id}`),
          head,
          form?.element,
          el(
            "p",
            { class: "note" },
            "Decision ",
            el("a", { href: `#decision/${encodeURIComponent(item.id)}` }, item.id),
          ),
        ),
        warningsPanel(decision.warnings),
        applicationPanel(decision, known),
        reasonsPanel(decision.reasons),
        sourcePanel(decision, known),
        reviews,
      ];
    });
  }

  function reviewed(decision, verdict) {
    const { facts: fact, state } = decision;
    const differ = state === "conflict" ? ". Reviewers differ now" : "";
    const said = `${verdict === "approve" ? "Approved" : "Declined"}${differ}`;
    const index = list.indexOf(fact.id);
    const stays = filters.shows(state);
    const isInSight = list.item?.id === fact.id;
    if (index >= 0) list.replace(index, stays ? { ...fact, state, forgotten: decision.forgotten } : null);
    tell(`${said}. `);
    if (!isInSight) return; // somebody has gone on before the answer came
    // the next one follows, and the keys go on working
    if (detail.contains(document.activeElement) || document.activeElement === document.body) list.element.focus();
    form = null;
    if (list.length) list.activate(stays ? index + 1 : list.active);
    else fill(detail);
  }

  function give(verdict) {
    if (form) form.give(verdict);
    else say("No case is in sight yet");
  }

  function pressed(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("input, select, textarea, [contenteditable]")) {
      if (key === "Escape" && target.id === "note") list.element.focus();
      return;
    }
    if (areKeysOff() && key !== "Enter") return;
    const actions = {
      j: () => list.move(1),
      k: () => list.move(-1),
      a: () => give("approve"),
      r: () => give("decline"),
      n: () => form?.note.focus(),
      "/": () => filters.focus(),
      "?": () => help.showModal(),
    };
    if (target === list.element || target === document.body) {
      actions.Enter = () => {
        const heading = detail.querySelector("h2");
        heading?.focus({ preventScroll: true });
        heading?.parentElement.scrollIntoView({ block: "nearest" });
      };
    }
    if (!Object.hasOwn(actions, key)) return;
    event.preventDefault();
    actions[key]();
  }

  return {
    element,
    enter() {
      document.addEventListener("keydown", pressed);
      list.element.scrollTop = scrolled;
      list.draw();
      if (!list.length) restart();
    },
    leave() {
      scrolled = list.element.scrollTop;
      help.close();
      document.removeEventListener("keydown", pressed);
    },
  };
}

function rowOf(item) {
  return [
    el(
      "div",
      { class: "top" },
      el("span", { class: `tier ${item.tier}` }, tierIcon(item.tier), tierWords(item.tier)),
      el("span", {}, percent(item.probability)),
    ),
    el(
      "div",
      { class: "below" },
      el("span", {}, when(item.time)),
      el("span", {}, item.state === "queued" ? item.channel : `${item.channel}, ${stateWords(item.state)}`),
    ),
  ];
}
