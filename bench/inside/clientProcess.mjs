// Clients in a process of their own, on the other core; the program sends them requests.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pinned } from "../machine.mjs";

export class ClientProcess {
  #child;

  /** @param {string} program In clients/. @param {Record<string, unknown>} settings */
  constructor(program, settings) {
    const node = [process.execPath, join(import.meta.dirname, "clients", program), JSON.stringify(settings)];
    const [command, ...args] = pinned(settings.generatorCore, node);
    this.#child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.once("exit", (code) => {
      throw new Error(`${program} ended with exit code ${code}`);
    });
  }

  /** Sends a request to the clients and returns their answer. Only one request at a time. */
  async ask(request) {
    this.#child.send(request);
    const [{ failed, answer }] = await once(this.#child, "message");
    if (failed !== undefined) throw new Error(failed);
    return answer;
  }
}
