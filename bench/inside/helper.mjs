// Clients, in a process of their own and on the other core, that a program asks to do something.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pinned } from "../machine.mjs";

export class Helper {
  #child;

  /** @param {string} program in clients/ @param {Record<string, unknown>} settings */
  constructor(program, settings) {
    const node = [process.execPath, join(import.meta.dirname, "clients", program), JSON.stringify(settings)];
    const [command, ...args] = pinned(settings.generatorCore, node);
    this.#child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.once("exit", (code) => {
      throw new Error(`${program} ended with ${code}`);
    });
  }

  /** The answer of the clients; one question at a time. */
  async ask(question) {
    this.#child.send(question);
    const [{ failed, answer }] = await once(this.#child, "message");
    if (failed !== undefined) throw new Error(failed);
    return answer;
  }
}
