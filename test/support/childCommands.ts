import type { ChildProcess } from "node:child_process";

/** The answer of a child process to the command with this number. */
export interface ChildAnswer<Failure> {
  readonly to: number;
  readonly value?: unknown;
  readonly error?: Failure;
}

/** The commands to a child process, until each has its one answer. */
export class ChildCommands<Command extends object, Failure> {
  readonly #child: ChildProcess;
  readonly #ended: Failure;
  readonly #waiting = new Map<number, (answer: ChildAnswer<Failure>) => void>();
  #count = 0;

  /** @param ended The error of commands that the process did not answer before its end. */
  constructor(child: ChildProcess, ended: Failure) {
    this.#child = child;
    this.#ended = ended;
    child.on("exit", () => {
      for (const to of [...this.#waiting.keys()]) this.settle({ to, error: ended });
    });
  }

  /** Sends a command, and resolves with its answer, also if the process ends first. */
  async send(command: Command): Promise<ChildAnswer<Failure>> {
    this.#count += 1;
    const to = this.#count;
    return new Promise((resolve) => {
      this.#waiting.set(to, resolve);
      const fail = () => this.settle({ to, error: this.#ended });
      if (this.#child.connected) this.#child.send({ to, command }, (failed) => failed && fail());
      else fail();
    });
  }

  /** The process has answered. */
  settle(answer: ChildAnswer<Failure>): void {
    this.#waiting.get(answer.to)?.(answer);
    this.#waiting.delete(answer.to);
  }
}
