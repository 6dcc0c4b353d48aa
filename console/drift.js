// How far what is scored has moved away from training, as GET /drift tells it.

import { columns } from "./charts.js";
import { el, number, percent, signed } from "./dom.js";
import { facts, legend, table } from "./parts.js";

const NOTHING = "–";

/** What is in the panel for one period; `labels` are the fields' names for people. */
export function shownDrift(drift, period, labels) {
  const found = drift.windows[period];
  if (!found) return el("p", {}, "Nothing was counted.");
  const { all, ...channels } = found.channels;
  const shift = (value) => (value === null ? NOTHING : `${signed(value * 100, 1)}%`);
  const worst = Object.entries(all.fields).sort(([, a], [, b]) => (b.psi ?? 0) - (a.psi ?? 0));
  const promised = (value, digits) =>
    value === null || value === undefined ? NOTHING : digits ? number(value, 3) : percent(value);
  return [
    facts([
      ["All channels", `${all.says} (${number(all.rows, 0)} applications)`],
      ...Object.entries(channels).map(([channel, report]) => [channel, `${report.says} (${number(report.rows, 0)})`]),
      ["Expected bad rate", promised(found.expected_bad_rate)],
      ["Expected AUC", promised(found.expected_auc, 3)],
      ...became(drift.realised, promised),
    ]),
    el("h3", {}, "Score, training beside now"),
    columns(
      found.score.bins.flatMap((_, index) => [
        [["before", found.score.training[index]]],
        [["now", found.score.now[index]]],
      ]),
      `Shares of the score’s ${found.score.bins.length} bins in training and now; PSI ${promised(all.score.psi, 3)}`,
    ),
    legend([
      ["before", "training"],
      ["now", "now"],
    ]),
    table(
      "Drift by field",
      ["Field", "PSI", "Missing", "Outside"],
      [["Score", all.score], ...worst].map(([name, moved]) => [
        labels.get(name) ?? name,
        moved.psi === null ? NOTHING : `${number(moved.psi, 3)}${moved.stands_out ? " moved" : ""}`,
        shift(moved.missing_shift),
        shift(moved.outside_shift),
      ]),
      [1, 2, 3],
    ),
  ];
}

/** What became of decisions whose outcome is known, beside what their probabilities had promised. */
function became(realised, promised) {
  if (!realised?.rows) return [];
  return [
    ["Outcomes known", number(realised.rows, 0)],
    ["Bad rate of these", `${promised(realised.bad_rate)}, expected ${promised(realised.expected_bad_rate)}`],
    ["AUC of these", `${promised(realised.auc, 3)}, expected ${promised(realised.expected_auc, 3)}`],
  ];
}
