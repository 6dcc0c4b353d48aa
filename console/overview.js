// Overview: what the service does at the moment, from /metrics and /drift, looked at again every few seconds.

import { ask, askText } from "./api.js";
import { sparkline, stacked } from "./charts.js";
import { shownDrift } from "./drift.js";
import { el, fill, number, percent, say } from "./dom.js";
import { panel, section, table, TIERS, tierWords, trouble } from "./parts.js";
import { by, parsed, quantile, total } from "./prometheus.js";
import { fields } from "./schema.js";

const EVERY_MS = 5000;
const MOST_LOOKS = 61; // five minutes of them
const RECENT_LOOKS = 12; // a minute: latency is of so long, or since the start where nothing was asked meanwhile
const SCORES = "riskline_scores_total";
const REQUESTS = "riskline_requests_total";
const DURATION = "riskline_request_duration_seconds";
const NOTHING = "–";

export function overviewPage() {
  const looks = []; // {at, samples}
  const failure = el("div");
  const live = el("div", { "aria-busy": "true" });
  const drifted = el("div");
  const when = el("p", { class: "lead" }, "What the service does, over all its workers.");
  const pause = el("button", { type: "button", onclick: toggle }, "Pause");
  const windowChoice = el(
    "select",
    { id: "drift-window", onchange: () => showDrift() },
    el("option", { value: "24h" }, "24 hours"),
    el("option", { value: "1h" }, "1 hour"),
  );
  const driftPanel = panel(
    "Drift",
    el("div", { class: "filters one" }, el("div", {}, el("label", { for: "drift-window" }, "Period"), windowChoice)),
    drifted,
  );
  driftPanel.hidden = true;
  const element = section("Overview", el("div", { class: "head" }, when, pause), failure, live, driftPanel);
  let timer = 0;
  let isHere = false;
  let isPaused = false;
  let isLooking = false;
  let drift = null;
  let labels = new Map();

  function toggle() {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    say(isPaused ? "Paused" : "Going on");
    if (!isPaused) look();
  }

  async function look() {
    clearTimeout(timer);
    if (isLooking || isPaused || !isHere || document.hidden) return;
    isLooking = true;
    let isOver = false;
    try {
      const text = await askText("metrics", "text/plain");
      const samples = parsed(text, "riskline_");
      // counters that have fallen were begun anew: what was seen before is no measure for them
      if (looks.length && total(samples, REQUESTS) < total(looks.at(-1).samples, REQUESTS)) looks.length = 0;
      looks.push({ at: performance.now(), samples });
      if (looks.length > MOST_LOOKS) looks.shift();
      fill(failure);
      keepingFocus(live, () => fill(live, shownNow(looks)));
      live.removeAttribute("aria-busy");
      const now = new Date().toLocaleTimeString("en-GB");
      when.textContent = `What the service does, over all its workers; as of ${now}.`;
      await lookAtDrift();
    } catch (problem) {
      if (!("status" in problem)) console.error(problem);
      // who is not let in is not asked again until somebody says so; everything else may pass by itself
      isOver = problem.status === 401 || problem.status === 403 || !("status" in problem);
      fill(failure, trouble(problem, look));
    } finally {
      isLooking = false;
      if (!isOver) timer = setTimeout(look, EVERY_MS);
    }
  }

  async function lookAtDrift() {
    try {
      [drift, labels] = await Promise.all([
        ask("drift"),
        fields().then((known) => new Map(known.map((field) => [field.name, field.label]))),
      ]);
    } catch (problem) {
      if (problem.status !== 404) throw problem; // an endpoint of many models has none
    }
    showDrift();
  }

  function showDrift() {
    driftPanel.hidden = !drift;
    if (drift) keepingFocus(drifted, () => fill(drifted, shownDrift(drift, windowChoice.value, labels)));
  }

  document.addEventListener("visibilitychange", look);
  return {
    element,
    enter() {
      isHere = true;
      look();
    },
    leave() {
      isHere = false;
      clearTimeout(timer);
    },
  };
}

/** Replaces what is in `place`; a table that had the focus, to be scrolled, has it again. */
function keepingFocus(place, replace) {
  const caption = place.contains(document.activeElement) ? document.activeElement.dataset.caption : null;
  replace();
  const same = caption && [...place.querySelectorAll(".scroll")].find((node) => node.dataset.caption === caption);
  if (!same) return;
  same.tabIndex = 0;
  same.focus({ preventScroll: true });
}

const rateOf = (name, older, newer, fits) =>
  older
    ? Math.max(0, total(newer.samples, name, fits) - total(older.samples, name, fits)) / ((newer.at - older.at) / 1000)
    : null;
const perSecond = (rate) => (rate === null ? NOTHING : `${number(rate, rate < 10 ? 1 : 0)} a second`);
const milliseconds = (seconds) => (seconds === null ? NOTHING : `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`);
const isFailure = (labels) => labels.status >= "500";

function shownNow(looks) {
  const now = looks.at(-1);
  const before = looks.at(-2);
  const { samples } = now;
  const recent = looks.length > 1 ? looks[Math.max(0, looks.length - 1 - RECENT_LOOKS)].samples : [];
  const latency = (share, fits) =>
    quantile(samples, DURATION, share, fits, recent) ?? quantile(samples, DURATION, share, fits);
  const requests = total(samples, REQUESTS);
  const failures = total(samples, REQUESTS, isFailure);
  const workers = total(samples, "riskline_workers");
  const wanted = total(samples, "riskline_workers_wanted");
  const isReady = total(samples, "riskline_ready") >= 1;
  const rates = looks.map((look, index) => rateOf(SCORES, looks[index - 1], look));
  return [
    el(
      "div",
      { class: "tiles" },
      tile("Applications scored", number(total(samples, SCORES), 0), perSecond(rateOf(SCORES, before, now))),
      tile("Requests", number(requests, 0), perSecond(rateOf(REQUESTS, before, now))),
      tile("Half answered within", milliseconds(latency(0.5)), `99 of 100 within ${milliseconds(latency(0.99))}`),
      tile("Failures", number(failures, 0), requests ? `${percent(failures / requests)} of all requests` : NOTHING),
      tile("Workers", `${number(workers, 0)} of ${number(wanted, 0)}`, isReady ? "ready" : "not ready"),
    ),
    panel(
      "Applications a second",
      sparkline(rates, `Applications scored a second, newest last: now ${perSecond(rates.at(-1))}`, MOST_LOOKS),
      el(
        "p",
        { class: "note" },
        `The last five minutes; at most ${perSecond(Math.max(0, ...rates.filter((rate) => rate !== null)))}.`,
      ),
    ),
    el("div", { class: "halves" }, tiersPanel(samples), channelsPanel(samples)),
    el("div", { class: "halves" }, routesPanel(samples, latency), rejectedPanel(samples)),
  ];
}

const tile = (name, value, note) =>
  el(
    "div",
    { class: "tile" },
    el("p", { class: "note" }, name),
    el("p", { class: "big" }, value),
    el("p", { class: "note" }, note),
  );

function tiersPanel(samples) {
  const sums = by(samples, SCORES, "tier");
  const all = [...sums.values()].reduce((sum, amount) => sum + amount, 0);
  const share = (tier) => (all ? (sums.get(tier) ?? 0) / all : 0);
  return panel(
    "Tiers",
    stacked(TIERS.map((tier) => [tier, share(tier)])),
    table(
      "Applications by tier",
      ["Tier", "Applications", "Share"],
      TIERS.map((tier) => [tierWords(tier), number(sums.get(tier) ?? 0, 0), all ? percent(share(tier)) : NOTHING]),
      [1, 2],
    ),
  );
}

function channelsPanel(samples) {
  const sums = largestFirst(by(samples, REQUESTS, "channel"));
  const all = sums.reduce((sum, [, amount]) => sum + amount, 0);
  return panel(
    "Channels",
    sums.length
      ? table(
          "Requests by channel",
          ["Channel", "Requests", "Share"],
          sums.map(([channel, amount]) => [channel, number(amount, 0), percent(amount / all)]),
          [1, 2],
        )
      : el("p", {}, "No requests yet."),
  );
}

function routesPanel(samples, latency) {
  const sums = largestFirst(by(samples, REQUESTS, "route"));
  if (!sums.length) return null;
  return panel(
    "Routes",
    table(
      "Requests by route",
      ["Route", "Requests", "Failures", "p50", "p99"],
      sums.map(([route, amount]) => {
        const fits = (labels) => labels.route === route;
        return [
          el("code", {}, route),
          number(amount, 0),
          number(
            total(samples, REQUESTS, (labels) => fits(labels) && isFailure(labels)),
            0,
          ),
          milliseconds(latency(0.5, fits)),
          milliseconds(latency(0.99, fits)),
        ];
      }),
      [1, 2, 3, 4],
    ),
  );
}

function rejectedPanel(samples) {
  const sums = largestFirst(by(samples, "riskline_rejected_total", "reason"));
  return panel(
    "Refused",
    sums.length
      ? table(
          "Refused requests by error",
          ["Error", "Requests"],
          sums.map(([reason, amount]) => [el("code", {}, reason), number(amount, 0)]),
          [1],
        )
      : el("p", {}, "Nothing was refused."),
  );
}

const largestFirst = (sums) => [...sums].filter(([, amount]) => amount > 0).sort(([, a], [, b]) => b - a);
