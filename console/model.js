// Model: which one answers, how good it was on applicants that it had not seen, and what other thresholds would do.

import { ask, askText, hasKey, urlOf } from "./api.js";
import { el, fill, number, percent, say } from "./dom.js";
import { facts, into, panel, section, table, TIERS, tierWords, trouble } from "./parts.js";
import { whatIf } from "./policy.js";

const MEASURES = {
  rows: "Applicants",
  bad_rate: "Bad rate",
  auc: "AUC",
  ks: "KS",
  brier: "Brier score",
  log_loss: "Log loss",
  calibration_error: "Calibration error",
};

export function modelPage() {
  const running = el("div");
  const weighed = el("div");
  const element = section(
    "Model",
    el("p", { class: "lead" }, "The model and the policy that new applications are answered with."),
    running,
    weighed,
  );
  return {
    element,
    enter() {
      into(running, () => ask("model"), shownModel);
      // one more request, not one after the other
      if (!weighed.hasChildNodes() || weighed.querySelector(".trouble")) into(weighed, thresholds, whatIf);
    },
  };
}

async function thresholds() {
  try {
    return await ask("model/thresholds");
  } catch (problem) {
    if (problem.status === 404) return null; // a service that does not tell them, or an endpoint of many models
    throw problem;
  }
}

function shownModel(model) {
  const { training, metrics, libraries } = model.manifest;
  const test = metrics?.test ?? {};
  const measures = Object.entries(MEASURES).filter(([name]) => typeof test[name] === "number");
  const crossed = metrics?.cross_validation?.auc;
  return el(
    "div",
    { class: "halves" },
    panel(
      "Versions",
      facts([
        ["Model", el("code", {}, model.model_version)],
        ["Policy", el("code", {}, model.policy_version)],
        ["Artefact", el("code", {}, model.version)],
        ["Trained on", `${number(training.rows, 0)} applications`],
        ["Trees", number(training.trees, 0)],
        ["Training data", el("code", {}, training.data_sha256)],
        [
          "Made with",
          Object.entries(libraries ?? {})
            .map(([name, version]) => `${name} ${version}`)
            .join(", "),
        ],
      ]),
      report(model.version),
    ),
    panel(
      "Quality",
      el("p", { class: "note" }, "On the test split, which no tree and no threshold has seen."),
      table(
        "Quality on the test split",
        ["Measure", "Value"],
        [
          ...measures.map(([name, label]) => [
            label,
            name === "rows" ? number(test[name], 0) : name === "bad_rate" ? percent(test[name]) : number(test[name], 3),
          ]),
          ...(typeof crossed === "number"
            ? [[`AUC, ${metrics.cross_validation.folds} folds`, number(crossed, 3)]]
            : []),
        ],
        [1],
      ),
      test.tiers
        ? table(
            "Tiers on the test split",
            ["Tier", "Share", "Bad rate"],
            TIERS.filter((tier) => test.tiers[tier]).map((tier) => [
              tierWords(tier),
              percent(test.tiers[tier].share),
              percent(test.tiers[tier].bad_rate),
            ]),
            [1, 2],
          )
        : null,
    ),
  );
}

/** The report of the training run: a link, or where a key is needed, which a link cannot bring, a file to be saved. */
function report(version) {
  const message = el("div");
  if (!hasKey()) {
    return el("p", {}, el("a", { href: urlOf("model/report"), target: "_blank", rel: "noopener" }, "Open the report"));
  }
  const save = async () => {
    fill(message);
    try {
      const text = await askText("model/report", "text/html");
      const url = URL.createObjectURL(new Blob([text], { type: "text/html" }));
      el("a", { href: url, download: `report-${version}.html` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      say("The report is saved");
    } catch (problem) {
      fill(message, trouble(problem, save));
    }
  };
  return el(
    "div",
    {},
    el("div", { class: "buttons" }, el("button", { type: "button", onclick: save }, "Save the report")),
    message,
  );
}
