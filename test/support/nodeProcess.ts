import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { App, Position } from "../../src/index.js";
import { ChildCommands } from "./childCommands.js";
import { end } from "./engineProcess.js";
import type { Accepted, Command, Heard, NodeError, NodeSettings, Report, SteadyPublishing } from "./nodeMain.js";

const script = fileURLToPath(new URL("nodeMain.ts", import.meta.url));

/** The error of a command, as the node's process reported it. */
export class RemoteError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A node in a process of its own. */
export class NodeProcess {
  /** The errors that reached `app.on("error")`. */
  readonly errors: NodeError[] = [];
  readonly rejected: NodeError[] = [];
  readonly heard: Heard[] = [];
  readonly lagged: (number | undefined)[] = [];
  readonly changes: { readonly joined: readonly string[]; readonly left: readonly string[] }[] = [];
  /** Receives the accepted publications of steady publishers. */
  onAccepted: (accepted: Accepted) => void = () => undefined;
  port = 0;
  readonly #child: ChildProcess;
  readonly #commands: ChildCommands<Command, NodeError>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#commands = new ChildCommands(child, { code: "ended", message: "the process of the node has ended" });
    child.on("message", (report: Report) => this.#take(report));
  }

  /** Starts a node that runs until the end of the test. */
  static async start(settings: NodeSettings): Promise<NodeProcess> {
    const child = fork(script, [JSON.stringify(settings)], {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const node = new NodeProcess(child);
    onTestFinished(() => end(child));
    const ended = once(child, "exit");
    const listening = new Promise<void>((resolve) => {
      child.on("message", (report: Report) => report.kind === "listens" && resolve());
    });
    await Promise.race([listening, ended]);
    if (node.port === 0) throw new Error(`the node ended with ${child.exitCode} before it listened`);
    return node;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  publish(path: string, id: string, options?: object): Promise<Position | undefined> {
    // The node answers with the result of `room.publish`.
    return this.ask({ do: "publish", path, id, ...(options && { options }) }) as Promise<Position | undefined>;
  }

  async startPublishing(publishing: SteadyPublishing): Promise<void> {
    await this.ask({ do: "start", publishing });
  }

  /** Stops all publishers, and resolves when all of their publications are answered. */
  async rest(): Promise<void> {
    await this.ask({ do: "rest" });
  }

  /** What `room.subscribe()` gets from now on is in {@link heard}. */
  async subscribe(path: string): Promise<void> {
    await this.ask({ do: "subscribe", path });
  }

  /** The publications that are kept, the oldest first. */
  async history(path: string): Promise<string[]> {
    // The node answers with a list.
    return ((await this.ask({ do: "history", path })) as unknown[]).map(String);
  }

  status(): Promise<ReturnType<App["status"]>> {
    // The node answers with its status.
    return this.ask({ do: "status" }) as Promise<ReturnType<App["status"]>>;
  }

  async drain(withinMs: number): Promise<void> {
    await this.ask({ do: "drain", withinMs });
  }

  /** Rejects with a {@link RemoteError}, also if the process ends before it has answered. */
  async ask(command: Command): Promise<unknown> {
    const { value, error } = await this.#commands.send(command);
    if (error !== undefined) throw new RemoteError(error.code, error.message);
    return value;
  }

  /** Sends a signal, and resolves with the exit code; `null` if the signal ended the process. */
  async signal(name: NodeJS.Signals): Promise<number | null> {
    const ended = once(this.#child, "exit");
    this.#child.kill(name);
    const [code] = await ended;
    return code;
  }

  /** Stops the process without ending it, until {@link thaw}. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    await end(this.#child);
  }

  async close(): Promise<void> {
    await this.ask({ do: "close" });
    await end(this.#child);
  }

  #take(report: Report): void {
    if (report.kind === "listens") this.port = report.port;
    else if (report.kind === "answer") this.#commands.settle(report);
    else if (report.kind === "accepted") for (const one of report.all) this.onAccepted(one);
    else if (report.kind === "rejected") this.rejected.push(...report.all);
    else if (report.kind === "heard") this.heard.push(...report.all);
    else if (report.kind === "error") this.errors.push(report.error);
    else if (report.kind === "lagged") this.lagged.push(report.missed);
    else this.changes.push({ joined: report.joined, left: report.left });
  }
}
