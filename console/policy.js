// What other thresholds would do: reckoned here, from what became of applicants that no threshold had seen.

import { columns } from "./charts.js";
import { el, fill, number, percent, say, settled, signed } from "./dom.js";
import { facts, legend, panel, table, TIERS, tierWords } from "./parts.js";

const STEP = 0.001; // of a slider
const BINS = 40; // of the drawing

/** The panel with two sliders; without outcomes, only the thresholds. */
export function whatIf(told) {
  if (!told?.outcomes?.length) {
    return told
      ? panel(
          "Policy",
          facts([
            ["Low below", percent(told.low)],
            ["High from", percent(told.high)],
          ]),
        )
      : null;
  }
  const result = el("div");
  const drawn = el("div");
  const low = slider("threshold-low", "Low below", told.low);
  const high = slider("threshold-high", "High from", told.high);
  const spoken = settled(600, (text) => say(text));

  function show() {
    const mine = effect(told.outcomes, low.value(), high.value());
    fill(result, comparison(effect(told.outcomes, told.low, told.high), mine));
    fill(
      drawn,
      columns(histogram(told.outcomes), "Applicants of the test split by probability, those who went bad on top", [
        low.value(),
        high.value(),
      ]),
    );
    return mine;
  }

  function moved(mine, other, isLow) {
    mine.show();
    // the two do not pass each other: one takes the other along
    if (isLow ? mine.value() > other.value() : mine.value() < other.value()) other.set(mine.value());
    const now = show();
    spoken(`Approved ${percent(now.approved)}, bad rate among them ${rate(now.tiers.low)}`);
  }

  low.input.addEventListener("input", () => moved(low, high, true));
  high.input.addEventListener("input", () => moved(high, low, false));
  const back = () => {
    low.set(told.low);
    high.set(told.high);
    show();
  };
  show();
  const applicants = told.outcomes.reduce((sum, group) => sum + group.good + group.bad, 0);
  return panel(
    "Policy: what other thresholds would do",
    el(
      "p",
      { class: "note" },
      `Reckoned from what became of ${number(applicants, 0)} applicants of the test split, `,
      `in ${told.outcomes.length} groups; within a group evenly spread. Nothing is changed here.`,
    ),
    el(
      "div",
      { class: "two" },
      el(
        "div",
        {},
        low.element,
        high.element,
        drawn,
        legend([
          ["good", "went well"],
          ["bad", "went bad"],
        ]),
        el("div", { class: "buttons" }, el("button", { type: "button", onclick: back }, "Back to today’s")),
      ),
      result,
    ),
  );
}

function slider(id, label, value) {
  const input = el("input", { type: "range", id, min: STEP, max: 1 - STEP, step: STEP });
  const output = el("output", { for: id });
  const show = () => {
    output.textContent = percent(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  // today's threshold lies between two steps; as long as nobody moves the slider it counts as it is
  let exact = value;
  input.addEventListener("input", () => (exact = null), { capture: true });
  const set = (to) => {
    exact = to;
    input.value = to;
    show();
  };
  set(value);
  return {
    element: el("div", { class: "slider" }, el("label", { for: id }, label), output, input),
    input,
    set,
    show,
    value: () => exact ?? Number(input.value),
  };
}

/** What two thresholds would do to the applicants of the groups: each tier's volume and bad, and who is approved. */
export function effect(outcomes, low, high) {
  const tiers = Object.fromEntries(TIERS.map((tier) => [tier, { all: 0, bad: 0 }]));
  let from = 0;
  let applicants = 0;
  for (const { up_to: to, good, bad } of outcomes) {
    const below = (threshold) =>
      to <= from ? Number(to < threshold) : Math.min(Math.max((threshold - from) / (to - from), 0), 1);
    const shares = { low: below(low), medium: below(high) - below(low), high: 1 - below(high) };
    for (const tier of TIERS) {
      tiers[tier].all += shares[tier] * (good + bad);
      tiers[tier].bad += shares[tier] * bad;
    }
    applicants += good + bad;
    from = to;
  }
  return { tiers, applicants, approved: tiers.low.all / applicants };
}

const rate = ({ all, bad }) => (all > 0.5 ? percent(bad / all) : "–");

function comparison(today, mine) {
  const share = (found, tier) => found.tiers[tier].all / found.applicants;
  const change = (now, before) => (Math.abs(now - before) < 0.0005 ? "" : ` (${signed((now - before) * 100, 1)})`);
  const rows = TIERS.map((tier) => [
    tierWords(tier),
    percent(share(today, tier)),
    `${percent(share(mine, tier))}${change(share(mine, tier), share(today, tier))}`,
    rate(today.tiers[tier]),
    rate(mine.tiers[tier]),
  ]);
  const reviewed = (found) => share(found, "medium");
  return [
    table(
      "What other thresholds would do",
      ["Tier", "Share today", "Share then", "Bad rate today", "Bad rate then"],
      rows,
      [1, 2, 3, 4],
    ),
    facts([
      ["Approved at once", `${percent(mine.approved)} instead of ${percent(today.approved)}`],
      ["For people to look at", `${percent(reviewed(mine))} instead of ${percent(reviewed(today))}`],
      ["Declined at once", `${percent(share(mine, "high"))} instead of ${percent(share(today, "high"))}`],
    ]),
  ];
}

/** The groups, which are of equal size, as columns of equal width. */
function histogram(outcomes) {
  const bins = Array.from({ length: BINS }, () => [0, 0]);
  let from = 0;
  for (const { up_to: to, good, bad } of outcomes) {
    for (let bin = 0; bin < BINS; bin += 1) {
      const overlap = Math.min(to, (bin + 1) / BINS) - Math.max(from, bin / BINS);
      if (overlap <= 0) continue;
      bins[bin][0] += (good * overlap) / (to - from);
      bins[bin][1] += (bad * overlap) / (to - from);
    }
    from = to;
  }
  return bins.map(([good, bad]) => [
    ["good", good],
    ["bad", bad],
  ]);
}
