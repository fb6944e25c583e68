// The command line.
import { parseArgs } from "node:util";
import { workloads } from "./workloads.mjs";

const usage = `npm run bench -- [--quick] [--only=${workloads[0].name},…] [--rounds=N] [--json=file] [--no-build]
workloads: ${workloads.map((workload) => workload.name).join(", ")}`;

/**
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {boolean} build
 * @property {import("./workloads.mjs").Workload[]} workloads
 * @property {number} rounds
 * @property {string | undefined} json
 * @property {{ warmMs: number, measureMs: number }} times
 */

/** @returns {Options} */
export function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        "no-build": { type: "boolean", default: false },
        only: { type: "string" },
        rounds: { type: "string" },
        json: { type: "string" },
      },
    });
    const { quick } = values;
    return {
      quick,
      build: !values["no-build"],
      workloads: choose(values.only, quick),
      rounds: parseCount(values.rounds ?? (quick ? "1" : "5")),
      json: values.json,
      times: quick ? { warmMs: 100, measureMs: 300 } : { warmMs: 1000, measureMs: 2000 },
    };
  } catch (error) {
    console.error(`bench: ${error.message}\n${usage}`);
    process.exit(2);
  }
}

function choose(only, quick) {
  const names = only?.split(",") ?? workloads.map((workload) => workload.name);
  return names.map((name) => {
    const workload = workloads.find((known) => known.name === name);
    if (workload === undefined) throw new Error(`--only takes names of workloads, got "${name}"`);
    return quick ? { ...workload, load: { ...workload.load, ...workload.quick } } : { ...workload, quick: undefined };
  });
}

function parseCount(text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--rounds takes an integer from 1, got ${text}`);
  return number;
}
