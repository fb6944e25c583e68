import { type ChildProcess, fork } from "node:child_process";
import { end } from "../test/support/engineProcess.js";
import type { NeighbourAnswer, NeighbourOrder, Sight } from "./neighbour.js";
import { programFile } from "./programs.js";

type OrderOf<Kind extends NeighbourOrder["do"]> = Omit<Extract<NeighbourOrder, { do: Kind }>, "to">;

/** The process of the healthy neighbours. One serves all rows. */
export class NeighbourProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: NeighbourAnswer) => void>();
  #orders = 0;

  constructor() {
    this.#child = fork(programFile("neighbour"), [], { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.on("message", (answer: NeighbourAnswer) => this.#waiting.get(answer.to)?.(answer));
    this.#child.on("exit", () => {
      for (const [to, settle] of this.#waiting) settle({ to, error: "the process of the neighbours has ended" });
    });
  }

  /** Connects a neighbour, which then sends until it is stopped. */
  async watch(name: string, url: string): Promise<void> {
    await this.#order({ do: "watch", name, url });
  }

  /** What it saw since its last window. */
  window(name: string): Promise<Sight> {
    return this.#sightOf({ do: "window", name });
  }

  /** Stops a neighbour, and waits some time for the echoes that are still missing. */
  stop(name: string, patienceMs: number): Promise<Sight> {
    return this.#sightOf({ do: "stop", name, patienceMs });
  }

  async close(): Promise<void> {
    await end(this.#child);
  }

  async #sightOf(order: OrderOf<"window"> | OrderOf<"stop">): Promise<Sight> {
    const { sight } = await this.#order(order);
    if (sight === undefined) throw new Error("the neighbour saw nothing");
    return sight;
  }

  async #order(order: OrderOf<"watch"> | OrderOf<"window"> | OrderOf<"stop">): Promise<NeighbourAnswer> {
    this.#orders += 1;
    const to = this.#orders;
    const answer = await new Promise<NeighbourAnswer>((resolve) => {
      this.#waiting.set(to, resolve);
      this.#child.send({ ...order, to });
    });
    this.#waiting.delete(to);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
