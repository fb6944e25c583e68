// A server under measurement, as a child process.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { cores, pinned } from "./machine.mjs";

const answerMs = 20_000;
const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

export class Server {
  #child;
  #errors = "";
  port = 0;

  /** @param {import("./peers.mjs").Peer} peer @param {import("./peers/contract.mjs").Order} order */
  static async start(peer, order) {
    const server = new Server(peer, order);
    try {
      server.port = (await server.#answer()).port;
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  constructor(peer, order) {
    const program = resolve(import.meta.dirname, "peers", peer.program);
    const node = [process.execPath, "--expose-gc", program, JSON.stringify(order)];
    const [command, ...args] = pinned(cores?.server, node);
    const env = { ...process.env, NODE_ENV: "production" };
    this.#child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe", "ipc"], env });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
  }

  /** The end of its output on stderr. */
  get errors() {
    return this.#errors.trim();
  }

  /** Processor time of all its threads since its start. */
  cpuSeconds() {
    // proc(5): fields 14 and 15. The name, field 2, may contain spaces, so they are counted after it.
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  /** Resident KiB after a garbage collection. */
  async residentKiB() {
    this.#child.send("memory");
    return (await this.#answer()).residentKiB;
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  async #answer() {
    const settled = new AbortController();
    const signal = AbortSignal.any([settled.signal, AbortSignal.timeout(answerMs)]);
    try {
      const exited = once(this.#child, "exit", { signal }).then(([code]) => {
        throw new Error(`the server ended with ${code}: ${this.errors}`);
      });
      exited.catch(() => undefined);
      const [message] = await Promise.race([once(this.#child, "message", { signal }), exited]);
      return message;
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      throw new Error(`the server did not answer within ${answerMs} ms: ${this.errors}`);
    } finally {
      settled.abort();
    }
  }
}
