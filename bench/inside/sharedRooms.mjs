// Many rooms on one socket and one socket per room: a process for each, since the memory of one would help the other.
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { finish, settings } from "./contract.mjs";

// V8 may reserve 48 MiB for new objects, with any number of connections.
const execArgv = ["--expose-gc", "--max-semi-space-size=1"];

/** @param {number} roomsEach The rooms of one socket; 0: sockets with one room, of `enfilade.v1`. */
async function measure(roomsEach) {
  const program = join(import.meta.dirname, "sharedServer.mjs");
  const child = fork(program, [JSON.stringify({ ...settings, roomsEach })], { execArgv });
  const exited = once(child, "exit");
  const [outcome] = await Promise.race([once(child, "message"), exited.then(() => [undefined])]);
  if (outcome === undefined) throw new Error("a server has ended without a result");
  await exited;
  return outcome;
}

// In another order each time, since the place affects the result.
const isFirst = Math.random() < 0.5;
const one = isFirst ? await measure(settings.roomsEach) : undefined;
const base = await measure(0);
finish({ load: one ?? (await measure(settings.roomsEach)), base });
