/**
 * Measures Enfilade beside its peers: `npm run bench`; see README.md.
 *
 * Exit code: 0, whatever the figures; 1 when a count or an order was wrong; 2 when it could not run.
 */
import { writeFileSync } from "node:fs";
import { facts } from "./machine.mjs";
import { measure, measureInside } from "./measure.mjs";
import { readOptions } from "./options.mjs";
import { peersOf } from "./peers.mjs";
import { buildLibrary, compileGenerator, installPeers } from "./prepare.mjs";
import { factReport, targetReport, workReport } from "./report.mjs";

const options = readOptions();
installPeers();
if (options.build) buildLibrary();
const generator = compileGenerator();

const machine = facts();
console.log(`${factReport(machine)}\n`);
const results = [];
for (const work of options.works) {
  const result = await resultOf(work);
  results.push(result);
  console.log(workReport(result));
}
console.log(targetReport(results, options.quick));
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(raw(), null, 2)}\n`);
if (results.some(failed)) {
  console.error("bench: a run failed, so a count or an order was wrong; see FAILED above");
  process.exitCode = 1;
}

/**
 * Rounds are interleaved: every peer once, then again, so that a slow minute of the machine meets all of them. Each round
 * begins with the next peer, since the place in a round has an effect of its own.
 */
async function resultOf(work) {
  const peers = peersOf(work, options.quick && work.base !== undefined);
  const rounds = new Map(peers.map((peer) => [peer.name, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const peer of startingAt(round, peers)) {
      progress(`${work.name}, round ${round} of ${options.rounds}: ${peer.name}`);
      rounds.get(peer.name)?.push(await outcomeOf(work, peer));
    }
  }
  progress("");
  return { work, rounds };
}

function startingAt(round, peers) {
  const first = (round - 1) % peers.length;
  return [...peers.slice(first), ...peers.slice(0, first)];
}

async function outcomeOf(work, peer) {
  try {
    if (work.inside !== undefined) return await measureInside(work, options.times);
    const load = await measure(generator, work, peer, options.times);
    if (work.base === undefined) return { load };
    return { load, base: await measure(generator, baseOf(work), peer, options.times) };
  } catch (error) {
    return { failed: error.message };
  }
}

/** The work as it is in the run that it is compared with. */
function baseOf({ base, ...work }) {
  return { ...work, serve: base.serve ?? work.serve, load: { ...work.load, ...base.load } };
}

function failed({ rounds }) {
  return [...rounds.values()].flat().some((outcome) => outcome.failed !== undefined);
}

function raw() {
  const { quick, rounds, times } = options;
  const measured = results.map(({ work, rounds: outcomes }) => ({ work, outcomes: Object.fromEntries(outcomes) }));
  return { machine, quick, rounds, times, results: measured };
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
