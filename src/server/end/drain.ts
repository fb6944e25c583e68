import { type Clock, deferred, type Timer, timerMsMax } from "../../connection/clock.js";
import type { Refusal } from "../../connection/transport.js";
import { EnfiladeError } from "../../errors.js";
import type { Member } from "../../protocol/dialect.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { checkNames } from "../../wire/options.js";
import type { Acceptor } from "../acceptor.js";
import type { Logger } from "../options.js";
import { busy } from "../refusal.js";

/** Options of `app.drain()`. */
export interface DrainOptions {
  /** Milliseconds until the clients should have left: above 0, at most 2^31 − 1. Default: 30,000. */
  readonly withinMs?: number | undefined;
  /**
   * Milliseconds before the first client leaves, for a load balancer to notice that `status().ready` is `false`: at
   * least 0, and below `withinMs`. Default: a sixth of `withinMs`, at most 5,000.
   */
  readonly settleMs?: number | undefined;
}

/** The result of `app.drain()`. */
export interface DrainResult {
  /** The number of connections that have ended since the call. */
  readonly left: number;
  /** The connections that have not ended. Empty after a drain that has worked. */
  readonly remaining: readonly RemainingConnection[];
}

/** A connection that a drain could not move. */
export interface RemainingConnection {
  /** The id of the connection, as `connection.id`. */
  readonly id: string;
  /** The user, as `authorize` returned it last; `undefined` for an anonymous client. */
  readonly user: unknown;
  /** The path of its request, which is its first room. */
  readonly path: string;
}

export interface DrainDeps {
  readonly acceptor: Pick<Acceptor, "stopAccepting">;
  readonly members: Iterable<Member>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DrainConfig {
  readonly withinMs: number;
  readonly settleMs: number;
}

const defaultWithinMs = 30_000;
const settleMsMax = 5_000;
/** The time at the end in which no client begins to leave, so that the last ones can connect, and try again. */
const reserveMsMin = 1_000;
/** The same as a part of the time after `settleMs`, if that is more. */
const reservePart = 0.1;
/** At most this part of the time after `settleMs`. */
const reservePartMax = 0.5;
/** Clients that are notified or closed in one turn of the event loop. */
const clientsPerTurn = 50;
/** The reason of the close of plain clients. */
const reason = "service restart";

/** @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is invalid. */
export function drainConfigOf(options: DrainOptions): DrainConfig {
  checkNames("drain()", options, ["withinMs", "settleMs"]);
  const { withinMs = defaultWithinMs } = options;
  if (!(typeof withinMs === "number" && withinMs > 0 && withinMs <= timerMsMax)) {
    throw badOption("withinMs", `a number above 0 and up to ${timerMsMax}`, withinMs);
  }
  const { settleMs = Math.min(settleMsMax, withinMs / 6) } = options;
  if (!(typeof settleMs === "number" && settleMs >= 0 && settleMs < withinMs)) {
    throw badOption("settleMs", `a number of at least 0 and below withinMs, ${withinMs}`, settleMs);
  }
  return { withinMs, settleMs };
}

function badOption(name: string, expected: string, came: unknown): EnfiladeError {
  return new EnfiladeError("ERR_OPTION", `${name} of drain() takes ${expected}, got ${String(came)}`);
}

/** Something to do with one plain client at its moment. */
interface Step {
  /** Milliseconds since the start of the drain. */
  readonly atMs: number;
  readonly run: () => void;
}

/** Moves the clients of a node to other nodes, each at its own moment, so that the other nodes get them evenly. */
export class Drain {
  /** Resolves when all clients have left, when the time is up, or after {@link stop}. Never rejects. */
  readonly result: Promise<DrainResult>;
  readonly #resolve: (result: DrainResult) => void;
  readonly #deps: DrainDeps;
  readonly #config: DrainConfig;
  readonly #startedAt: number;
  readonly #members: readonly Member[];
  readonly #remaining: Set<Member>;
  /** The indexes of the members that are plain clients. */
  readonly #plainIndexes: number[] = [];
  /** In the order of their moments. */
  #steps: readonly Step[] = [];
  #stepIndex = 0;
  #stepTimer: Timer | undefined;
  readonly #deadline: Timer;
  #isOver = false;

  constructor(deps: DrainDeps, config: DrainConfig) {
    const { promise, resolve } = deferred<DrainResult>();
    this.result = promise;
    this.#resolve = resolve;
    this.#deps = deps;
    this.#config = config;
    this.#startedAt = deps.clock.now();
    deps.acceptor.stopAccepting(() => this.#refusal);
    this.#members = [...deps.members];
    this.#remaining = new Set(this.#members);
    this.#deadline = deps.clock.setTimeout(() => this.#onDeadline(), config.withinMs);
    for (const member of this.#members) void member.ended.then(() => this.#onLeft(member));
    if (this.#members.length === 0) this.stop();
    else this.#notify(0);
  }

  /** The answer to a client that connects during the drain. It may try again when the balancer has noticed. */
  get #refusal(): Refusal {
    const settlesInMs = this.#config.settleMs - this.#passedMs;
    return busy("draining", "The server is draining", Math.max(1, Math.ceil(settlesInMs / 1_000)));
  }

  /** @throws EnfiladeError `ERR_APP_STATE` when `options` has other values than this drain. */
  assertSame({ withinMs, settleMs }: DrainOptions): void {
    const config = this.#config;
    const isSame = [config.withinMs, undefined].includes(withinMs) && [config.settleMs, undefined].includes(settleMs);
    if (isSame) return;
    const problem = `the app drains already, with withinMs ${config.withinMs} and settleMs ${config.settleMs}`;
    throw new EnfiladeError("ERR_APP_STATE", `${problem}; call drain() without options for its result`);
  }

  /** Ends the drain early. The clients that have not left remain. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deadline.cancel();
    this.#stepTimer?.cancel();
    const remaining = [...this.#remaining].map(({ id, user, home: path }) => ({ id, user, path }));
    this.#resolve({ left: this.#members.length - remaining.length, remaining });
  }

  get #passedMs(): number {
    return this.#deps.clock.now() - this.#startedAt;
  }

  get #reserveMs(): number {
    const afterMs = this.#config.withinMs - this.#config.settleMs;
    return Math.min(afterMs * reservePartMax, Math.max(reserveMsMin, afterMs * reservePart));
  }

  #onLeft(member: Member): void {
    this.#remaining.delete(member);
    // In the next turn, so that the last one has also left its rooms.
    if (this.#remaining.size === 0) setImmediate(() => this.stop());
  }

  #onDeadline(): void {
    this.stop();
    const { withinMs } = this.#config;
    this.#deps.logger.warn(
      `enfilade: ${this.#remaining.size} of ${this.#members.length} connections had not left ${withinMs} ms after ` +
        "drain(); close() will close them with 1001; check that another node is ready and that the load balancer " +
        "sends clients to it, and that no handler is still busy; with a single node, call close() without drain()",
    );
  }

  /** Tells `clientsPerTurn` clients their moment, and the others in later turns of the event loop. */
  #notify(first: number): void {
    if (this.#isOver) return;
    const next = Math.min(first + clientsPerTurn, this.#members.length);
    for (let index = first; index < next; index += 1) this.#notifyOne(index);
    if (next < this.#members.length) setImmediate(() => this.#notify(next));
    else this.#beginSteps();
  }

  #notifyOne(index: number): void {
    const member = this.#members[index];
    if (member === undefined) return;
    const afterMs = Math.max(0, Math.round(this.#momentOf(index) - this.#passedMs));
    const bytes = member.dialect.encodeDrain(this.#config.withinMs, afterMs);
    if (bytes !== undefined) member.push(bytes, undefined);
    else this.#plainIndexes.push(index);
  }

  /** The moment of a client, in milliseconds since the start. All clients leave in one order, at even distances. */
  #momentOf(index: number): number {
    const { withinMs, settleMs } = this.#config;
    return settleMs + ((withinMs - settleMs - this.#reserveMs) * index) / this.#members.length;
  }

  /** Begins to close plain clients, which no frame can ask to leave: first in order, and `graceMs` later for sure. */
  #beginSteps(): void {
    const graceMs = this.#reserveMs / 2;
    const steps = this.#plainIndexes.flatMap((index): Step[] => {
      const member = this.#members[index];
      const atMs = this.#momentOf(index);
      return [
        // The handler finishes with the messages that it has received.
        { atMs, run: () => member?.requestClose(CloseCode.serviceRestart, reason) },
        { atMs: atMs + graceMs, run: () => member?.close(CloseCode.serviceRestart, reason) },
      ];
    });
    this.#steps = steps.sort((one, other) => one.atMs - other.atMs);
    this.#runSteps();
  }

  /** Runs the steps that are due, at most `clientsPerTurn` at once, and waits for the next one. */
  #runSteps(): void {
    const due = this.#steps.slice(this.#stepIndex, this.#stepIndex + clientsPerTurn);
    for (const { atMs, run } of due) {
      if (atMs > this.#passedMs) break;
      this.#stepIndex += 1;
      run();
    }
    const next = this.#steps[this.#stepIndex];
    if (next === undefined || this.#isOver) return;
    this.#stepTimer = this.#deps.clock.setTimeout(() => this.#runSteps(), Math.max(0, next.atMs - this.#passedMs));
  }
}
