/**
 * Compares Enfilade with its peers: `npm run bench`; see README.md.
 *
 * Exit code: 0 for any figures, 1 when a run failed (a wrong count or order), 2 when it could not start.
 */
import { writeFileSync } from "node:fs";
import { machineFacts } from "./machine.mjs";
import { measure, measureInside } from "./measure.mjs";
import { readOptions } from "./options.mjs";
import { peersOf } from "./peers.mjs";
import { buildLibrary, compileGenerator, installPeers } from "./prepare.mjs";
import { factReport, targetReport, workloadReport } from "./report.mjs";

const options = readOptions();
installPeers();
if (options.build) buildLibrary();
const generator = compileGenerator();

const machine = machineFacts();
console.log(`${factReport(machine)}\n`);
const results = [];
for (const workload of options.workloads) {
  const result = await resultOf(workload);
  results.push(result);
  console.log(workloadReport(result));
}
console.log(targetReport(results, options.quick));
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rawResults(), null, 2)}\n`);
if (results.some(hasFailed)) {
  console.error("bench: a run failed; for the reason see FAILED above");
  process.exitCode = 1;
}

/**
 * Each round runs every peer once, so that a slow minute of the machine affects all of them. The first peer changes
 * with each round, since the place in a round affects the result.
 */
async function resultOf(workload) {
  const peers = peersOf(workload, options.quick && workload.base !== undefined);
  const rounds = new Map(peers.map((peer) => [peer.name, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const peer of startingAt(round, peers)) {
      showProgress(`${workload.name}, round ${round} of ${options.rounds}: ${peer.name}`);
      rounds.get(peer.name)?.push(await outcomeOf(workload, peer, round));
    }
  }
  showProgress("");
  return { workload, rounds };
}

function startingAt(round, peers) {
  const first = (round - 1) % peers.length;
  return [...peers.slice(first), ...peers.slice(0, first)];
}

/** The baseline runs first in every other round, since the place in a round affects the result. */
async function outcomeOf(workload, peer, round) {
  try {
    if (workload.inside !== undefined) return await measureInside(workload, options.times);
    const run = (one) => measure(generator, one, peer, options.times);
    if (workload.base === undefined) return { load: await run(workload) };
    const isBaseFirst = round % 2 === 0;
    const first = await run(isBaseFirst ? baseOf(workload) : workload);
    const second = await run(isBaseFirst ? workload : baseOf(workload));
    return isBaseFirst ? { load: second, base: first } : { load: first, base: second };
  } catch (error) {
    return { failed: error.message };
  }
}

/** The workload of the baseline run. */
function baseOf({ base, ...workload }) {
  return {
    ...workload,
    observer: undefined,
    serve: base.serve ?? workload.serve,
    load: { ...workload.load, ...base.load },
  };
}

function hasFailed({ rounds }) {
  return [...rounds.values()].flat().some((outcome) => outcome.failed !== undefined);
}

function rawResults() {
  const { quick, rounds, times } = options;
  const measured = results.map(({ workload, rounds: outcomes }) => {
    return { work: workload, outcomes: Object.fromEntries(outcomes) };
  });
  return { machine, quick, rounds, times, results: measured };
}

function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
