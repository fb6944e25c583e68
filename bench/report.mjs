// What is printed: a table for each work, the targets, and the machine.
import { reference, subject } from "./peers.mjs";
import { ratios, spread } from "./stats.mjs";

/** Above this the generator may have been what was measured. */
const busyShare = 0.95;

/**
 * @typedef {{ load?: import("./measure.mjs").Run, base?: import("./measure.mjs").Run, failed?: string }} Outcome of a round
 * @typedef {{ work: import("./works.mjs").Work, rounds: Map<string, Outcome[]> }} Result outcomes by the name of the peer
 */

/** @param {Result} result */
export function workReport({ work, rounds }) {
  const head = [
    "",
    ...work.figures.flatMap((figure) => [figure.name, ...(figure.against ? [ratioTitle(work, figure)] : [])]),
    ...details(work).map(([name]) => name),
  ];
  const rows = [...rounds].map(([name, outcomes]) => {
    const figures = work.figures.flatMap((figure) => [
      number(spread(outcomes.map((outcome) => outcome.load && figure.of(outcome.load)))?.median),
      ...(figure.against ? [withSpread(ratioOf({ work, rounds }, figure, name))] : []),
    ]);
    return [name, ...figures, ...details(work).map(([, of]) => of(outcomes))];
  });
  const failures = [...rounds].flatMap(([name, outcomes]) =>
    outcomes.flatMap((one) => (one.failed ? `  FAILED, ${name}: ${one.failed}` : [])),
  );
  const note = work.note ? [`  ${work.note}`] : [];
  if (work.quick)
    note.push(
      `  --quick: ${Object.entries(work.quick)
        .map(([name, value]) => `${name} ${value}`)
        .join(", ")}`,
    );
  return [`${work.name}: ${work.what}`, ...note, ...table([head, ...rows]), ...failures, ""].join("\n");
}

/** @param {Result[]} results @param {boolean} quick */
export function targetReport(results, quick) {
  const rows = results.flatMap((result) =>
    result.work.figures.flatMap((figure) => {
      const target = figure.atLeast ?? figure.atMost;
      if (target === undefined) return [];
      const ratio = ratioOf(result, figure, subject);
      const sign = figure.atLeast ? "≥" : "≤";
      const bound = figure.atLeast ? target.least : target.most;
      return [
        [
          result.work.quick ? `${result.work.name} (smaller)` : result.work.name,
          `${figure.name} ${ratioTitle(result.work, figure)}`,
          withSpread(ratio),
          `${sign} ${bound}`,
          `${sign} ${target.aim}`,
          verdict(figure, ratio),
        ],
      ];
    }),
  );
  if (rows.length === 0) return "";
  const title = `Targets of Enfilade${quick ? " (--quick: too short and too small to judge by)" : ""}`;
  return [title, ...table([["", "", "ratio", "bound", "aim", ""], ...rows]), ""].join("\n");
}

/** @param {Record<string, string>} facts */
export function factReport(facts) {
  return Object.entries(facts)
    .map(([name, value]) => `${name.padEnd(8)} ${value}`)
    .join("\n");
}

function ratioTitle({ base }, { against }) {
  return `x ${against === "ws" ? reference : base.name}`;
}

function ratioOf({ rounds }, figure, name) {
  const values = (peer, run) => (rounds.get(peer) ?? []).map((outcome) => outcome[run] && figure.of(outcome[run]));
  const bases = figure.against === "ws" ? values(reference, "load") : values(name, "base");
  return ratios(values(name, "load"), bases);
}

function verdict({ atLeast, atMost }, ratio) {
  if (ratio === undefined) return "not measured";
  const reaches = (bound) => (atLeast ? ratio.median >= bound : ratio.median <= bound);
  if (reaches((atLeast ?? atMost).aim)) return "reached";
  return reaches(atLeast ? atLeast.least : atMost.most) ? "short of the aim" : "MISSED";
}

/** Columns that are no ratios: latencies, how idle the generator was, and what became of a client that stalled. */
function details(work) {
  if (work.load.idle || (work.inside && !work.load.clients)) return [];
  const of = (pick) => (outcomes) => spread(outcomes.map((one) => one.load && pick(one.load)))?.median;
  const idle = (outcomes) => {
    const share = of((run) => run.idleShare)(outcomes);
    return share === undefined ? "–" : `${Math.round(share * 100)} %${share < 1 - busyShare ? " (busy!)" : ""}`;
  };
  const idleColumn = ["generator idle", idle];
  if (work.inside) return [idleColumn];
  const ms = (pick) => (outcomes) => {
    const us = of(pick)(outcomes);
    return us === undefined ? "–" : `${number(us / 1000)} ms`;
  };
  const columns = [["p50", ms((run) => run.p50Us)], ["p99", ms((run) => run.p99Us)], idleColumn];
  return work.load.stall ? [...columns, ["the stalled one", fateOfStalled]] : columns;
}

function fateOfStalled(outcomes) {
  const fates = outcomes.flatMap(({ load }) =>
    load ? `${load.raw.stalled}${load.raw.stalledCode ? ` ${load.raw.stalledCode}` : ""}` : [],
  );
  return [...new Set(fates)].join(", ");
}

/** @param {import("./stats.mjs").Spread | undefined} ratio */
function withSpread(ratio) {
  if (ratio === undefined) return "–";
  const range = ratio.min === ratio.max ? "" : ` (${number(ratio.min)}–${number(ratio.max)})`;
  return `${number(ratio.median)}${range}`;
}

/** Three digits that count. @param {number | undefined} value */
function number(value) {
  if (value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {string[][]} rows */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("   ");
  return rows.map((row) => `  ${line(row)}`.trimEnd());
}
