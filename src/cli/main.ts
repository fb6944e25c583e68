#!/usr/bin/env node
import { systemClock } from "../connection/clock.js";
import { asyncapiCommand } from "./asyncapi/command.js";
import { benchCommand } from "./bench/command.js";
import type { Context } from "./command.js";
import { runCommandLine } from "./commandLine.js";
import { connectCommand } from "./connect/command.js";
import { doctorCommand } from "./doctor/command.js";
import { initCommand } from "./init/command.js";

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());

// The reader of the output has ended, as in `enfilade connect … | head -1`.
process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => process.exit(code === "EPIPE" ? 0 : 1));

const context: Context = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  folder: process.cwd(),
  clock: systemClock,
  interrupted: interruption.signal,
};
const commands = [connectCommand, benchCommand, doctorCommand, initCommand, asyncapiCommand];
// Timers of the clock do not keep the process alive, but a command does until it has finished.
const alive = setInterval(() => undefined, 0x7fff_ffff);
const code = await runCommandLine(process.argv.slice(2), commands, context);
clearInterval(alive);
// Output to a pipe may still be on its way; a write is called back after all earlier ones.
await Promise.all([process.stdout, process.stderr].map((out) => new Promise((resolve) => out.write("", resolve))));
process.exit(code);
