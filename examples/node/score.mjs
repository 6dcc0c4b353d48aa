// Scores a raw application from the .onnx alone.
//
//   node score.mjs ../../build/riskline.onnx application.json
//   node score.mjs ../../build/riskline.onnx < application.json
//   node score.mjs --lines ../../build/riskline.onnx applications.jsonl      one application a line, one answer a line

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import ort from "onnxruntime-node";
import { PortableModel } from "../onnx/application.mjs";

const STDIN = 0;

try {
  const { values, positionals } = parseArgs({ options: { lines: { type: "boolean" } }, allowPositionals: true });
  const [model, file = STDIN] = positionals;
  if (model === undefined) throw new Error("which model? node score.mjs [--lines] MODEL.onnx [APPLICATION.json]");
  const scorer = await PortableModel.open(ort, readFileSync(model), { intraOpNumThreads: 1 });
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(file));
  const texts = values.lines ? text.split("\n").filter(line => line.trim()) : [text];
  const answers = await scorer.answers(texts);
  process.stdout.write(answers.map(answer => JSON.stringify(answer) + "\n").join(""));
  if (!values.lines && answers[0].error) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`riskline: ${error.message.split("\n")[0]}\n`);
  process.exitCode = 2;
}
