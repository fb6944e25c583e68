import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { HealthReport, Status } from "../src/index.js";
import { ChildCommands } from "../test/support/childCommands.js";
import { end } from "../test/support/engineProcess.js";
import { programFile } from "./programs.js";
import type {
  Command,
  Log,
  Measure,
  Objects,
  Publishing,
  Report,
  RoomView,
  ServerSettings,
  Tally,
} from "./server/settings.js";

/** Characters of output that are kept. */
const outputMax = 4_000_000;

/** The server of a row, in a process of its own. */
export class ServerProcess {
  /** What no row may see: unhandled rejections, uncaught exceptions, and the end of the process. */
  readonly unhandled: string[] = [];
  readonly unknownLimits: string[] = [];
  /** What the process has printed. */
  output = "";
  port = 0;
  readonly #child: ChildProcess;
  readonly #commands: ChildCommands<Command, string>;
  #isEnding = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#commands = new ChildCommands(child, "the process has ended");
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output = (this.output + text).slice(-outputMax);
      });
    }
    child.on("message", (report: Report) => this.#take(report));
    child.on("exit", (code, signal) => {
      if (!this.#isEnding) {
        this.unhandled.push(`the process ended with ${signal ?? code}: ${this.output.trim().slice(0, 600)}`);
      }
    });
  }

  static async start(settings: ServerSettings): Promise<ServerProcess> {
    const { heapMB, filesMax } = settings;
    const heap = heapMB === undefined ? [] : [`--max-old-space-size=${heapMB}`];
    const args = ["--expose-gc", ...heap, programFile("server"), JSON.stringify(settings)];
    const limit = filesMax === undefined ? "" : `ulimit -n ${filesMax} && `;
    const child = spawn("/bin/sh", ["-c", `${limit}exec "$@"`, "sh", process.execPath, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const server = new ServerProcess(child);
    const listening = new Promise<void>((resolve) => {
      child.on("message", (report: Report) => report.kind === "listens" && resolve());
    });
    await Promise.race([listening, once(child, "exit")]);
    if (server.port === 0) throw new Error(`the server did not start: ${server.output.slice(0, 2_000)}`);
    return server;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  url(path: string): string {
    return `ws://127.0.0.1:${this.port}${path}`;
  }

  /** @param collect Whether to collect garbage first. */
  measure(collect = true): Promise<Measure> {
    return this.ask({ do: "measure", collect }) as Promise<Measure>;
  }

  async resetPeaks(): Promise<void> {
    await this.ask({ do: "resetPeaks" });
  }

  objects(): Promise<Objects> {
    return this.ask({ do: "objects" }) as Promise<Objects>;
  }

  status(): Promise<Status> {
    return this.ask({ do: "status" }) as Promise<Status>;
  }

  health(): Promise<HealthReport> {
    return this.ask({ do: "health" }) as Promise<HealthReport>;
  }

  log(): Promise<Log> {
    return this.ask({ do: "log" }) as Promise<Log>;
  }

  /** A count of the handlers; 0 if it never happened. */
  async tally(name: string): Promise<number> {
    const all = (await this.ask({ do: "tally" })) as Tally;
    return all[name] ?? 0;
  }

  room(path: string): Promise<RoomView> {
    return this.ask({ do: "room", path }) as Promise<RoomView>;
  }

  /** Blocks the event loop of the server. */
  async block(ms: number): Promise<void> {
    await this.ask({ do: "block", ms });
  }

  async startPublishing(publishing: Publishing): Promise<void> {
    await this.ask({ do: "start", publishing });
  }

  /** Returns how many texts each room got. */
  stopPublishing(): Promise<Record<string, number>> {
    return this.ask({ do: "stop" }) as Promise<Record<string, number>>;
  }

  /** Rejects with the error of the command, also if the process ends first. */
  async ask(command: Command): Promise<unknown> {
    const { value, error } = await this.#commands.send(command);
    if (error !== undefined) throw new Error(`${command.do}: ${error}`);
    return value;
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    await end(this.#child);
  }

  #take(report: Report): void {
    if (report.kind === "answer") this.#commands.settle(report);
    else if (report.kind === "unhandled") this.unhandled.push(report.error.slice(0, 600));
    else {
      this.port = report.port;
      this.unknownLimits.push(...report.unknownLimits);
    }
  }
}
