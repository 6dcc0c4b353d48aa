// Raw applications → the service's answers, with nothing but the .onnx file and ONNX Runtime. Node and browsers share it;
// `ort` is onnxruntime-node or onnxruntime-web. The file knows the fields, their rules, the policy and all words.

import { metadataOf } from "./metadata.mjs";
import { decoded, Refused } from "./rules.mjs";

/** The model in a file that `python -m model.portable` has written. */
export class PortableModel {
  /** From the file's bytes; an Error in one line where they are something else. */
  static async open(ort, bytes, options = {}) {
    const metadata = readMetadata(bytes);
    const part = name => JSON.parse(metadata[`riskline.${name}`]);
    if (metadata["riskline.answer"] === undefined) {
      throw new Error("the file is no model that travels; write one with: make onnx");
    }
    const session = await ort.InferenceSession.create(bytes, options);
    return new PortableModel(ort, session, part("application"), part("policy"), part("answer"));
  }

  constructor(ort, session, schema, policy, answer) {
    Object.assign(this, { ort, session, schema, policy, answer });
  }

  /** An answer for each text with one application in JSON, in order: its score, or its own error. */
  async answers(texts) {
    const rows = texts.map(text => {
      try {
        return { application: decoded(text, this.schema) };
      } catch (error) {
        if (error instanceof Refused) return { refused: error.body };
        throw error;
      }
    });
    const valid = rows.filter(row => row.application).map(row => row.application);
    const scores = valid.length ? this.worded(valid, await this.outputs(valid)) : [];
    return rows.map(row => row.refused ?? scores.shift());
  }

  /** The graph's outputs for valid applications: `probability` and `contributions` Float32Array, `tier` words. */
  async outputs(applications) {
    const { probability, tier, contributions } = await this.session.run(this.#inputs(applications));
    return { probability: probability.data, tier: tier.data, contributions: contributions.data };
  }

  /** What the service would answer to them, without the id of a decision, since nobody has recorded one. */
  worded(applications, { probability, tier, contributions }) {
    const { model_version, policy_version, digits } = this.answer;
    const names = this.session.inputNames;
    return applications.map((application, row) => {
      const shown = rounded(probability[row], digits);
      return {
        probability: shown,
        tier: tier[row],
        points: points(shown, this.policy.points_scale, digits),
        model_version,
        policy_version,
        warnings: names.flatMap(name => this.#warning(name, application[name] ?? null)),
        reasons: this.#reasons(contributions.subarray(row * names.length, (row + 1) * names.length)),
      };
    });
  }

  /** A tensor for each input that the graph has: of words, "" where one is missing, or of numbers, NaN where so. */
  #inputs(applications) {
    const tensors = this.session.inputMetadata.map(({ name, type }) => {
      const missing = type === "string" ? "" : NaN;
      const values = applications.map(application => application[name] ?? missing);
      const data = type === "string" ? values : Float32Array.from(values);
      return [name, new this.ort.Tensor(type, data, [values.length, 1])];
    });
    return Object.fromEntries(tensors);
  }

  #warning(name, value) {
    const { range: [low, high], ...messages } = this.answer.warnings[name];
    const words = this.schema.properties[name].enum;
    const code = words ? words.indexOf(value) : Math.fround(value);
    const warning = value === null ? "missing" : code < low || code > high ? "outside_training_range" : null;
    return warning ? [{ field: name, code: warning, message: messages[warning] }] : [];
  }

  /** What raised the risk most first, then what lowered it most. */
  #reasons(contributions) {
    return this.session.inputNames
      .map((field, at) => ({ field, contribution: rounded(contributions[at], this.answer.digits) }))
      .sort((a, b) => place(a.contribution) - place(b.contribution))
      .slice(0, this.answer.most_reasons)
      .filter(reason => reason.contribution !== 0)
      .map(reason => {
        const { adverse, favourable } = this.policy.reasons[reason.field];
        return { ...reason, ...(reason.contribution > 0 ? adverse : favourable) };
      });
  }
}

function readMetadata(bytes) {
  try {
    return metadataOf(bytes);
  } catch (error) {
    if (error instanceof RangeError) throw new Error(`the file is no .onnx: ${error.message}`);
    throw error;
  }
}

const place = contribution => (contribution > 0 ? -1e6 - contribution : contribution);

/** To so many digits; halves go to the even neighbour, as Python and NumPy do it. */
function rounded(value, digits) {
  const scaled = value * 10 ** digits;
  const below = Math.floor(scaled);
  const up = scaled - below > 0.5 || (scaled - below === 0.5 && below % 2 !== 0);
  return (below + up) / 10 ** digits;
}

/** `model/policy.py`: points = at + factor · (ln(odds of this probability) − ln(odds)). */
export function points(probability, { at, odds, doubling }, digits) {
  const least = 10 ** -digits;
  const factor = doubling / Math.log(2);
  const within = Math.min(Math.max(probability, least), 1 - least);
  return rounded(at - factor * Math.log(odds) + factor * Math.log(1 / within - 1), 0);
}
