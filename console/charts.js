// Small drawings. Each says in words what it shows, or is hidden from those who read the table beside it instead.

import { el, percent, svg } from "./dom.js";

const SHAPES = {
  low: ["circle", { cx: 8, cy: 8, r: 6.5 }],
  medium: ["path", { d: "M8 1.5 15 14H1z" }],
  high: ["path", { d: "M5 1h6l4 4v6l-4 4H5l-4-4V5z" }],
};
const SIGNS = { low: "M5 8.2l2.2 2.2L11.2 6", medium: "M8 6v3.6M8 11.4v1", high: "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" };

/** A shape for each tier, so that none is told by its colour alone. */
export function tierIcon(tier) {
  const [shape, attributes] = SHAPES[tier] ?? SHAPES.medium;
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" },
    svg(shape, { ...attributes, fill: "currentColor" }),
    svg("path", { d: SIGNS[tier] ?? "", class: "sign" }),
  );
}

/** A probability from 0 to 1 with the policy's two thresholds, where they are known. */
export function gauge(probability, low, high) {
  const known = low !== undefined && high !== undefined;
  const bands = known
    ? [
        ["low", 0, low],
        ["medium", low, high],
        ["high", high, 1],
      ]
    : [["none", 0, 1]];
  const limits = known ? `; low is below ${percent(low)}, high from ${percent(high)}` : "";
  const says = `Probability ${percent(probability)}${limits}`;
  return el(
    "div",
    { class: "gauge", role: "img", "aria-label": says },
    at(probability, el("span", { class: "pointer" })),
    svg(
      "svg",
      { viewBox: "0 0 100 10", preserveAspectRatio: "none" },
      bands.map(([tier, from, to]) =>
        svg("rect", { x: from * 100, y: 0, width: Math.max(0, to - from) * 100, height: 10, class: `band ${tier}` }),
      ),
    ),
    known ? [low, high].map((share) => at(share, el("span", { class: "tick" }, percent(share)))) : null,
  );
}

/** `node` at a share of its parent's width. */
function at(share, node) {
  node.style.left = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return node;
}

/** A bar to the left or right of its middle; `most` is the longest one's amount. */
export function diverging(amount, most) {
  const length = most ? (Math.abs(amount) / most) * 48 : 0;
  return svg(
    "svg",
    { viewBox: "0 0 100 10", class: "diverging", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("rect", {
      x: amount < 0 ? 50 - length : 50,
      y: 1,
      width: length,
      height: 8,
      class: amount > 0 ? "against" : "for",
    }),
    svg("rect", { x: 49.8, y: 0, width: 0.4, height: 10, class: "axis" }),
  );
}

/** One bar in parts: [class, share] each. The numbers stand in a table beside it. */
export function stacked(parts) {
  let from = 0;
  return svg(
    "svg",
    { viewBox: "0 0 100 6", class: "stacked", "aria-hidden": "true", preserveAspectRatio: "none" },
    parts.map(([name, share]) => {
      const drawn = svg("rect", {
        x: from * 100,
        y: 0,
        width: Math.max(0, share * 100 - 0.3),
        height: 6,
        class: `band ${name}`,
      });
      from += share;
      return drawn;
    }),
  );
}

/** Values one after the other as a line; null leaves a gap. */
export function sparkline(values, says, slots = values.length) {
  const most = Math.max(...values.filter((value) => value !== null), 0) || 1;
  const x = (index) => 200 - ((values.length - 1 - index) / Math.max(1, slots - 1)) * 200;
  let path = "";
  let pen = "M";
  values.forEach((value, index) => {
    if (value === null) pen = "M";
    else {
      path += `${pen}${x(index).toFixed(1)} ${(38 - (value / most) * 34).toFixed(1)}`;
      pen = "L";
    }
  });
  return svg(
    "svg",
    { viewBox: "0 0 200 40", class: "spark", role: "img", "aria-label": says, preserveAspectRatio: "none" },
    svg("path", { d: "M0 38.5H200", class: "axis" }),
    path ? svg("path", { d: path, class: "line" }) : null,
  );
}

/** Columns of [class, amount] parts each, and marks at shares of the width. */
export function columns(all, says, marks = []) {
  const most = Math.max(...all.map((parts) => parts.reduce((sum, [, amount]) => sum + amount, 0)), 1e-9);
  const width = 400 / Math.max(1, all.length);
  return svg(
    "svg",
    { viewBox: "0 0 400 120", class: "columns", role: "img", "aria-label": says, preserveAspectRatio: "none" },
    all.map((parts, index) => {
      let from = 118;
      return parts.map(([name, amount]) => {
        const height = (amount / most) * 112;
        from -= height;
        return svg("rect", {
          x: index * width + 0.8,
          y: from,
          width: Math.max(0.5, width - 1.6),
          height,
          class: `band ${name}`,
        });
      });
    }),
    svg("path", { d: "M0 118.5H400", class: "axis" }),
    marks.map((share) => svg("path", { d: `M${share * 400} 0V118`, class: "mark" })),
  );
}
