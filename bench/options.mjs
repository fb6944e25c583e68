// The command line.
import { parseArgs } from "node:util";
import { works } from "./works.mjs";

const usage = `npm run bench -- [--quick] [--only=${works[0].name},…] [--rounds=N] [--json=file] [--no-build]
works: ${works.map((work) => work.name).join(", ")}`;

/**
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {boolean} build
 * @property {import("./works.mjs").Work[]} works
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
      works: chosen(values.only, quick),
      rounds: count(values.rounds ?? (quick ? "1" : "5")),
      json: values.json,
      times: quick ? { warmMs: 100, measureMs: 300 } : { warmMs: 1000, measureMs: 2000 },
    };
  } catch (error) {
    console.error(`bench: ${error.message}\n${usage}`);
    process.exit(2);
  }
}

function chosen(only, quick) {
  const names = only?.split(",") ?? works.map((work) => work.name);
  return names.map((name) => {
    const work = works.find((one) => one.name === name);
    if (work === undefined) throw new Error(`there is no work "${name}"`);
    return quick ? { ...work, load: { ...work.load, ...work.quick } } : { ...work, quick: undefined };
  });
}

function count(text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--rounds takes a whole number from 1, got ${text}`);
  return number;
}
