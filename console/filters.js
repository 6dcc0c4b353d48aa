// Which decisions the queue lists: a form whose fields are the parameters of GET /decisions.

import { el } from "./dom.js";
import { stateWords, TIERS } from "./parts.js";

const CHANNELS = ["api", "webform", "mobile", "chatbot", "phone", "mail"];
const STATES = ["queued", "reviewed", "approved", "declined", "conflict"];

/** {element, focus, read, shows}; `changed` is called when somebody has chosen something else. */
export function filterForm(changed) {
  const options = (words, label) => [
    ...words.map((word) => el("option", { value: word }, label(word))),
    el("option", { value: "" }, "any"),
  ];
  const inputs = {
    state: el("select", { id: "filter-state" }, options(STATES, stateWords)),
    tier: el(
      "select",
      { id: "filter-tier" },
      options(TIERS, (tier) => tier),
    ),
    channel: el(
      "select",
      { id: "filter-channel" },
      options(CHANNELS, (channel) => channel),
    ),
    since: el("input", { id: "filter-since", type: "datetime-local" }),
    until: el("input", { id: "filter-until", type: "datetime-local" }),
  };
  inputs.state.value = "queued";
  inputs.tier.value = "medium";
  inputs.channel.value = "";
  const labels = { state: "State", tier: "Tier", channel: "Channel", since: "Since", until: "Until" };
  const element = el(
    "form",
    { class: "filters", "aria-label": "Filters", onchange: changed, onsubmit: (event) => event.preventDefault() },
    Object.entries(inputs).map(([name, input]) => el("div", {}, el("label", { for: input.id }, labels[name]), input)),
  );
  return {
    element,
    focus: () => inputs.state.focus(),
    read() {
      const given = Object.entries(inputs).filter(([, input]) => input.value);
      return Object.fromEntries(
        given.map(([name, input]) => [
          name,
          input.type === "datetime-local" ? new Date(input.value).toISOString() : input.value,
        ]),
      );
    },
    shows(state) {
      const wanted = inputs.state.value;
      return (
        wanted === "" ||
        wanted === state ||
        (wanted === "reviewed" && ["approved", "declined", "conflict"].includes(state))
      );
    },
  };
}
