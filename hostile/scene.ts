import { Dice } from "../test/support/dice.js";
import type { Sight } from "./neighbour.js";
import type { NeighbourProcess } from "./neighbourProcess.js";
import type { ServerSettings } from "./server/settings.js";
import { ServerProcess } from "./serverProcess.js";

/** One row of the scoreboard. */
export interface Row {
  readonly number: number;
  readonly title: string;
  /** What the row must show, as in the table of the README. */
  readonly expected: string;
  /** Seconds after which a full run of the row fails. A quick run has `quickSeconds`. */
  readonly seconds: number;
  /** Whether it waits most of the time. A quick run runs these rows side by side. Default: `false`. */
  readonly isMostlyWaiting?: boolean;
  run(scene: Scene): Promise<void>;
}

/** Seconds after which a quick run of a row fails: far more than it takes, since its machine may be busy. */
export const quickSeconds = 180;
/** Milliseconds that a neighbour waits for its last echoes. */
const echoPatienceMs = 10_000;
const pollMs = 10;
const failuresMax = 12;

interface Watched {
  readonly server: ServerProcess;
  readonly name: string;
}

/** What a row works with: servers with a healthy neighbour each, checks, and figures. */
export class Scene {
  readonly dice: Dice;
  readonly failures: string[] = [];
  readonly figures: Record<string, number | string> = {};
  /** What was left out, and why. */
  readonly skipped: string[] = [];
  /** What the neighbours saw. */
  readonly sights: Sight[] = [];
  readonly #neighbours: NeighbourProcess;
  readonly #receiver: ServerSettings["receiver"];
  readonly #servers: Watched[] = [];
  readonly #closers: (() => unknown)[] = [];
  #hidden = 0;

  constructor(
    readonly row: Row,
    readonly isQuick: boolean,
    readonly seed: number,
    neighbours: NeighbourProcess,
    receiver: ServerSettings["receiver"],
  ) {
    this.#receiver = receiver;
    this.dice = new Dice(seed);
    this.#neighbours = neighbours;
  }

  /** The number for a full run, or that for a quick one. */
  pick<T>(full: T, quick: T): T {
    return this.isQuick ? quick : full;
  }

  /** Starts a server, and a healthy neighbour on it. */
  async start(settings: ServerSettings = {}): Promise<ServerProcess> {
    const server = await ServerProcess.start({ receiver: this.#receiver, ...settings });
    const name = `row ${this.row.number}, server ${this.#servers.length}`;
    this.#servers.push({ server, name });
    for (const limit of server.unknownLimits) this.fail(`the limit ${limit}: expected a limit, there is none`);
    await this.#neighbours.watch(name, server.url("/neighbour/healthy"));
    return server;
  }

  /** What the neighbour of a server saw since the last window. */
  async window(server: ServerProcess): Promise<Sight> {
    const watched = this.#servers.find((one) => one.server === server);
    if (watched === undefined) throw new Error("the row did not start this server");
    return this.#neighbours.window(watched.name);
  }

  /** Called at the end of the row, last first. */
  finally(close: () => unknown): void {
    this.#closers.push(close);
  }

  show(name: string, value: number | string): void {
    this.figures[name] = typeof value === "number" ? Math.round(value * 100) / 100 : value;
  }

  /**
   * Leaves a part out, openly. In CI that is a failure, unless the part is optional.
   *
   * @param isOptional Whether `.ci/run` does not install it.
   */
  skip(what: string, why: string, isOptional = false): void {
    if (process.env.CI && !isOptional) this.fail(`${what}: expected in CI, ${why}`);
    else this.skipped.push(`${what}: ${why}`);
  }

  fail(text: string): void {
    if (this.failures.length < failuresMax) this.failures.push(text);
    else this.#hidden += 1;
  }

  equal(what: string, came: unknown, expected: unknown): void {
    const [a, b] = [JSON.stringify(came), JSON.stringify(expected)];
    if (a !== b) this.fail(`${what}: expected ${b}, came ${a?.slice(0, 300)}`);
  }

  atMost(what: string, came: number, most: number): void {
    this.show(what, came);
    if (!(came <= most)) this.fail(`${what}: expected at most ${most}, came ${Math.round(came * 100) / 100}`);
  }

  /** As {@link atMost}, for times and shares of a core. A quick run shows them only, since its machine may be busy. */
  timeAtMost(what: string, came: number, most: number): void {
    if (this.isQuick) this.show(`${what} (at most ${most} in a full run)`, came);
    else this.atMost(what, came, most);
  }

  atLeast(what: string, came: number, least: number): void {
    this.show(what, came);
    if (!(came >= least)) this.fail(`${what}: expected at least ${least}, came ${Math.round(came * 100) / 100}`);
  }

  /**
   * Waits until `check` returns true, for a time. Returns the milliseconds, and fails the row past `withinMs`; in a quick
   * run past ten times as much.
   */
  async until(what: string, withinMs: number, check: () => boolean | Promise<boolean>): Promise<number> {
    const start = performance.now();
    const mostMs = this.isQuick ? 10 * withinMs : withinMs;
    while (!(await check())) {
      if (performance.now() - start > mostMs) {
        this.fail(`${what}: expected within ${mostMs} ms, it did not happen`);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    return performance.now() - start;
  }

  /** Keeps on for a time: an abuse that lasts. */
  async last(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Checks what each row has to show of its servers and their neighbours, and ends everything. */
  async end(): Promise<void> {
    for (const { server, name } of this.#servers) {
      // A neighbour of a dead server has nothing to wait for.
      const sight = await this.#neighbours.stop(name, server.isRunning ? echoPatienceMs : 0);
      this.sights.push(sight);
      if (sight.ended !== undefined) this.fail(`${name}, neighbour: expected to stay, ended with ${sight.ended}`);
      if (sight.echoed !== sight.sent) {
        this.fail(`${name}, neighbour: expected ${sight.sent} echoes, came ${sight.echoed}`);
      }
      for (const error of server.unhandled) this.fail(`${name}: expected no unhandled error, came ${error}`);
    }
    for (const close of this.#closers.reverse()) await close();
    await Promise.all(this.#servers.map(({ server }) => server.stop()));
    if (this.#hidden > 0) this.failures.push(`and ${this.#hidden} more failures`);
  }
}
