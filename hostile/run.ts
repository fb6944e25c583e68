/**
 * The scoreboard: runs hostile clients and faults against servers, and prints what they showed. See README.md.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { NeighbourProcess } from "./neighbourProcess.js";
import { printRow, printSummary, type RowResult } from "./print.js";
import { rows } from "./rows.js";
import { quickSeconds, type Row, Scene } from "./scene.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    receiver: { type: "string", default: "direct" },
    json: { type: "string", default: join(import.meta.dirname, "results", "hostile.json") },
  },
});

function chosenRows(only: string | undefined): readonly Row[] {
  if (only === undefined) return rows;
  const numbers = only.split(",").map(Number);
  const unknown = numbers.filter((number) => !rows.some((row) => row.number === number));
  if (unknown.length > 0) {
    throw new Error(`--only takes numbers of rows (${rows.map((row) => row.number)}), got ${only}`);
  }
  return rows.filter((row) => numbers.includes(row.number));
}

/** Runs one row. A row that throws or takes too long has failed. */
async function runRow(row: Row, neighbours: NeighbourProcess): Promise<RowResult> {
  const isQuick = values.quick;
  const scene = new Scene(row, isQuick, seed, neighbours, receiver);
  const start = performance.now();
  const seconds = isQuick ? quickSeconds : row.seconds;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      scene.fail(`expected to end within ${seconds} s, it still runs`);
      resolve();
    }, seconds * 1_000);
  });
  const broken = (error: unknown) => scene.fail(`expected no error of the row, came ${describe(error)}`);
  await Promise.race([row.run(scene).catch(broken), late]);
  clearTimeout(timer);
  await scene.end().catch(broken);
  const { failures, skipped, figures, sights } = scene;
  return {
    number: row.number,
    title: row.title,
    expected: row.expected,
    passed: failures.length === 0,
    failures: [...failures],
    skipped,
    figures,
    neighbour: {
      p99Ms: Math.max(0, ...sights.map(({ p99 }) => p99)),
      maxMs: Math.max(0, ...sights.map(({ max }) => max)),
      echoes: sights.reduce((sum, { echoed }) => sum + echoed, 0),
    },
    seconds: (performance.now() - start) / 1_000,
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).slice(0, 600) : String(error);
}

const seed = Number(values.seed);
if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`--seed takes a whole number, got ${values.seed}`);
const receiver = (["direct", "ws"] as const).find((name) => name === values.receiver);
if (receiver === undefined) throw new Error(`--receiver takes direct or ws, got ${values.receiver}`);
console.log(`hostile, seed ${seed}, receiver ${receiver}, ${values.quick ? "quick" : "full"}`);
// A row that ran out of time may leave promises behind.
process.on("unhandledRejection", (reason) => console.error(`a row left an error behind: ${describe(reason)}`));

const neighbours = new NeighbourProcess();
const results: RowResult[] = [];
const start = performance.now();
const runAndPrint = async (row: Row) => {
  const result = await runRow(row, neighbours);
  results.push(result);
  printRow(result);
};
const chosen = chosenRows(values.only);
const isShared = ({ isMostlyWaiting = false }: Row) => values.quick && isMostlyWaiting;
for (const row of chosen) if (!isShared(row)) await runAndPrint(row);
await Promise.all(chosen.filter(isShared).map(runAndPrint));
await neighbours.close();
results.sort((a, b) => a.number - b.number);
mkdirSync(dirname(values.json), { recursive: true });
writeFileSync(values.json, `${JSON.stringify({ seed, receiver, quick: values.quick, rows: results }, undefined, 2)}\n`);
printSummary(results, (performance.now() - start) / 1_000, values.quick);
process.exit(results.every(({ passed }) => passed) ? 0 : 1);
