import { randomBytes } from "node:crypto";
import { type Command, type Context, exitCodes, type Input } from "../command.js";
import { Sockets } from "../socket.js";
import { visibleJSON } from "../text.js";
import { Load } from "./load.js";
import { planOf, planOptions } from "./plan.js";
import { showProgress } from "./progress.js";
import { describe, reportOf } from "./report.js";

export const benchCommand: Command = {
  name: "bench",
  usage: "URL",
  summary: "measure how fast messages come back, and whether all do",
  args: [1, 1],
  options: { ...planOptions, json: { summary: "print the result as JSON" } },
  details: [
    "Opens WebSockets without enfilade.v1 and sends messages on a schedule, each connection in turn. {n} in the URL is",
    "replaced by the number of the connection, from 0: ws://localhost:8000/chat/{n} is one room for each connection.",
    "A message is a JSON string; the handler must send it back or to its room, also as a part of another message.",
    "Where messages of a sender arrive at all, each of them has to arrive, in order. A run of the server's own machine",
    "measures both: the server has less of the machine. While it runs, it uses a whole core.",
    "",
    "Exit codes: 0 all came back; 1 a connection failed, or messages are missing, out of order, or were not sent;",
    "2 wrong usage; 130 interrupted.",
  ].join("\n"),
  run,
};

async function run(input: Input, context: Context): Promise<number> {
  const { clock, interrupted, stdout, stderr } = context;
  const plan = planOf(input);
  const load = new Load(plan, clock, randomBytes(6).toString("hex"));
  const sockets = new Sockets(plan.headers);
  try {
    await load.open(sockets);
    const hideProgress = showProgress(load, plan.durationMs, stderr, clock);
    const startedAt = clock.now();
    await load.send(interrupted);
    const seconds = (clock.now() - startedAt) / 1_000;
    await load.settle();
    hideProgress();
    const report = reportOf(plan, load);
    stdout.write(`${input.has("json") ? visibleJSON(report) : describe(report, seconds)}\n`);
    if (interrupted.aborted) return exitCodes.interrupted;
    return report.problems.length === 0 ? exitCodes.done : exitCodes.failed;
  } finally {
    load.end();
    await sockets.closeAll(clock);
  }
}
