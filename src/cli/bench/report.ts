import type { RecordableHistogram } from "node:perf_hooks";
import type { Load } from "./load.js";
import type { Plan } from "./plan.js";

/** The percentiles of times, in milliseconds. */
export interface Times {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The result of a run; printed with `--json`. */
export interface Report {
  readonly connections: number;
  readonly messageBytes: number;
  readonly sent: number;
  /** Messages that were left out, since the server read too slowly or the connection had ended. */
  readonly unsent: number;
  /** Messages that came back to their sender. */
  readonly returned: number;
  /** All messages that arrived. */
  readonly received: number;
  /** Messages that did not arrive where others of their sender did. */
  readonly missing: number;
  /** Messages that arrived after a later one of their sender. */
  readonly late: number;
  /** Messages that arrived again. */
  readonly repeated: number;
  /** Messages of other origin. */
  readonly foreign: number;
  /** How connections ended before the end of the run. */
  readonly ends: readonly string[];
  /** From the scheduled time of a message to each arrival. */
  readonly latencyMs: Times;
  /** From the scheduled time of a message to its sending: the part of the latency that this process caused. */
  readonly latenessMs: Times;
  /** What is wrong; empty for a run without a failure. */
  readonly problems: readonly string[];
}

/** Connections whose end is described. */
const endsMax = 5;

export function reportOf(plan: Plan, load: Load): Report {
  const { sent, unsent, returned, received, missing, late, repeated, foreign, ends } = load;
  const counts = { sent, unsent, returned, received, missing, late, repeated, foreign };
  return {
    connections: plan.urls.length,
    messageBytes: plan.messageBytes,
    ...counts,
    ends: ends.slice(0, endsMax),
    latencyMs: timesOf(load.latency),
    latenessMs: timesOf(load.lateness),
    problems: problemsOf(load),
  };
}

function problemsOf({ received, unsent, missing, late, repeated, ends }: Load): string[] {
  const problems: string[] = [];
  const add = (count: number, text: string) => count > 0 && problems.push(`${count} ${text}`);
  add(ends.length, `connections ended too early: ${[...new Set(ends)].slice(0, endsMax).join(", ")}`);
  add(unsent, "messages were not sent, since their connection had ended or its server read too slowly");
  add(missing, "messages did not arrive");
  add(late, "messages arrived after a later one of their sender");
  add(repeated, "messages arrived again");
  if (received === 0) {
    problems.push("no message came back; the handler must answer its messages, or send them to its room, in any form");
  }
  return problems;
}

function timesOf(histogram: RecordableHistogram): Times {
  const ms = (microseconds: number) => (histogram.count === 0 ? 0 : microseconds / 1_000);
  const [p50, p90, p99] = [50, 90, 99].map((percent) => ms(histogram.percentile(percent)));
  return { p50: p50 ?? 0, p90: p90 ?? 0, p99: p99 ?? 0, max: ms(histogram.max) };
}

/** The report as text. */
export function describe(report: Report, seconds: number): string {
  const { connections, sent, received, returned, missing, late, repeated, latencyMs, latenessMs, problems } = report;
  return [
    `${connections} connections, ${sent} messages sent in ${seconds.toFixed(1)} s (${rate(sent, seconds)})`,
    `${received} messages arrived (${rate(received, seconds)}), ${returned} of them at their sender`,
    `${missing} missing, ${late} out of order, ${repeated} repeated`,
    "",
    `latency   ${received === 0 ? "none, since no message arrived" : row(latencyMs)}`,
    `own delay ${row(latenessMs)}`,
    "",
    "Latency is the time from the moment when a message was due to each arrival, so a stall counts for all messages",
    "that it delays. It includes this process, one thread that sends and receives everything: the second line is how",
    "late it sent. It does not measure reconnects, clients on several machines, or what the server can do at most.",
    ...problems.map((text) => `problem: ${text}`),
  ].join("\n");
}

function rate(count: number, seconds: number): string {
  return `${Math.round(count / seconds)} per second`;
}

function row({ p50, p90, p99, max }: Times): string {
  const cell = (name: string, ms: number) => `${name} ${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
  return [cell("p50", p50), cell("p90", p90), cell("p99", p99), cell("max", max)]
    .map((text) => text.padEnd(14))
    .join("")
    .trimEnd();
}
