// What is needed of Prometheus' text format: samples, sums of them, and quantiles of histograms.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const VALUES = { "+Inf": Infinity, "-Inf": -Infinity, NaN: Number.NaN };

/** Text → [{name, labels, value}], of the metrics whose name starts with `prefix`. */
export function parsed(text, prefix) {
  const samples = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith(prefix)) continue;
    const found = SAMPLE.exec(line);
    if (!found) continue;
    const [, name, labels = "", value] = found;
    samples.push({
      name,
      labels: Object.fromEntries(
        [...labels.matchAll(LABEL)].map(([, label, word]) => [
          label,
          word.replace(/\\(.)/g, (_, next) => (next === "n" ? "\n" : next)),
        ]),
      ),
      value: VALUES[value] ?? Number(value),
    });
  }
  return samples;
}

/** The sum of a metric, over all that `fits`. */
export function total(samples, name, fits = () => true) {
  return samples.reduce((sum, sample) => (sample.name === name && fits(sample.labels) ? sum + sample.value : sum), 0);
}

/** Sums of a metric by one of its labels: Map from word to sum. */
export function by(samples, name, label, fits = () => true) {
  const sums = new Map();
  for (const sample of samples) {
    if (sample.name !== name || !fits(sample.labels)) continue;
    const word = sample.labels[label] ?? "";
    sums.set(word, (sums.get(word) ?? 0) + sample.value);
  }
  return sums;
}

/** The value below which `share` of what a histogram counted lies, less what it had counted `before`; null for nothing.
 *
 * Within a bucket everything is taken to be spread evenly, as Prometheus itself does.
 */
export function quantile(samples, name, share, fits = () => true, before = []) {
  const counts = by(samples, `${name}_bucket`, "le", fits);
  const earlier = by(before, `${name}_bucket`, "le", fits);
  const buckets = [...counts]
    .map(([le, count]) => [VALUES[le] ?? Number(le), count - (earlier.get(le) ?? 0)])
    .sort(([a], [b]) => a - b);
  const all = buckets.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  let from = 0;
  let below = 0;
  for (const [to, count] of buckets) {
    if (count >= all * share) {
      if (to === Infinity) return from;
      return from + (to - from) * ((all * share - below) / Math.max(1e-12, count - below));
    }
    [from, below] = [to, count];
  }
  return from;
}
