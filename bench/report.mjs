// The printed report: a table for each workload, the targets, and the machine.
import { reference, subject } from "./peers.mjs";
import { ratios, spread } from "./stats.mjs";

/** Above this share of processor time the generator itself may be the limit. */
const busyShare = 0.95;

/**
 * One peer in one round.
 *
 * @typedef {{ load?: Run, base?: Run, failed?: string }} Outcome
 * @typedef {import("./measure.mjs").Run} Run
 */

/**
 * One workload, with the outcomes by the name of the peer.
 *
 * @typedef {{ workload: import("./workloads.mjs").Workload, rounds: Map<string, Outcome[]> }} Result
 */

/** @param {Result} result */
export function workloadReport({ workload, rounds }) {
  const head = [
    "",
    ...workload.figures.flatMap((figure) => [figure.name, ...(figure.against ? [ratioTitle(workload, figure)] : [])]),
    ...detailColumns(workload).map(([name]) => name),
  ];
  const rows = [...rounds].map(([name, outcomes]) => {
    const figures = workload.figures.flatMap((figure) => [
      formatNumber(spread(outcomes.map((outcome) => outcome.load && figure.of(outcome.load)))?.median),
      ...(figure.against ? [withSpread(ratioOf({ workload, rounds }, figure, name))] : []),
    ]);
    return [name, ...figures, ...detailColumns(workload).map(([, of]) => of(outcomes))];
  });
  const failures = [...rounds].flatMap(([name, outcomes]) =>
    outcomes.flatMap((one) => (one.failed ? `  FAILED, ${name}: ${one.failed}` : [])),
  );
  const note = workload.note ? [`  ${workload.note}`] : [];
  if (workload.quick)
    note.push(
      `  --quick: ${Object.entries(workload.quick)
        .map(([name, value]) => `${name} ${value}`)
        .join(", ")}`,
    );
  return [`${workload.name}: ${workload.what}`, ...note, ...tableLines([head, ...rows]), ...failures, ""].join("\n");
}

/** @param {Result[]} results @param {boolean} quick */
export function targetReport(results, quick) {
  const rows = results.flatMap((result) =>
    result.workload.figures.flatMap((figure) => {
      const target = figure.atLeast ?? figure.atMost;
      if (target === undefined) return [];
      const ratio = ratioOf(result, figure, subject);
      const sign = figure.atLeast ? "≥" : "≤";
      const bound = figure.atLeast ? target.least : target.most;
      return [
        [
          result.workload.quick ? `${result.workload.name} (smaller)` : result.workload.name,
          `${figure.name} ${ratioTitle(result.workload, figure)}`,
          withSpread(ratio),
          `${sign} ${bound}`,
          `${sign} ${target.aim}`,
          verdictOf(figure, ratio),
        ],
      ];
    }),
  );
  if (rows.length === 0) return "";
  const title = `Targets of Enfilade${quick ? " (--quick: too short and too small to judge by)" : ""}`;
  return [title, ...tableLines([["", "", "ratio", "bound", "aim", ""], ...rows]), ""].join("\n");
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

function verdictOf({ atLeast, atMost }, ratio) {
  if (ratio === undefined) return "not measured";
  const reaches = (bound) => (atLeast ? ratio.median >= bound : ratio.median <= bound);
  if (reaches((atLeast ?? atMost).aim)) return "reached";
  return reaches(atLeast ? atLeast.least : atMost.most) ? "short of the aim" : "MISSED";
}

/** The columns without ratios: latencies, the idle share of the generator, and how a stalled client ended. */
function detailColumns(workload) {
  if (workload.load.idle || (workload.inside && !workload.load.clients)) return [];
  const of = (pick) => (outcomes) => spread(outcomes.map((one) => one.load && pick(one.load)))?.median;
  const idle = (outcomes) => {
    const share = of((run) => run.idleShare)(outcomes);
    return share === undefined ? "–" : `${Math.round(share * 100)} %${share < 1 - busyShare ? " (busy!)" : ""}`;
  };
  const idleColumn = ["generator idle", idle];
  if (workload.inside) return [idleColumn];
  const ms = (pick) => (outcomes) => {
    const us = of(pick)(outcomes);
    return us === undefined ? "–" : `${formatNumber(us / 1000)} ms`;
  };
  const columns = [["p50", ms((run) => run.p50Us)], ["p99", ms((run) => run.p99Us)], idleColumn];
  return workload.load.stall ? [...columns, ["the stalled one", endOfStalled]] : columns;
}

function endOfStalled(outcomes) {
  const ends = outcomes.flatMap(({ load }) =>
    load ? `${load.raw.stalled}${load.raw.stalledCode ? ` ${load.raw.stalledCode}` : ""}` : [],
  );
  return [...new Set(ends)].join(", ");
}

/** @param {import("./stats.mjs").Spread | undefined} ratio */
function withSpread(ratio) {
  if (ratio === undefined) return "–";
  const range = ratio.min === ratio.max ? "" : ` (${formatNumber(ratio.min)}–${formatNumber(ratio.max)})`;
  return `${formatNumber(ratio.median)}${range}`;
}

/** Formats with three significant digits. @param {number | undefined} value */
function formatNumber(value) {
  if (value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {string[][]} rows */
function tableLines(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("   ");
  return rows.map((row) => `  ${line(row)}`.trimEnd());
}
