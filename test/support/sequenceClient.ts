import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type ClientRoom, ConnectError, connect, type Lost } from "../../src/client/index.js";
import type { Observation, Observer } from "../faults/publicationLog.js";
import { Mailbox } from "./app.js";

/** A factor for the delays of the client: a test need not wait as long as a crowd of browsers. */
const defaultDelayShare = 0.02;

export interface SequenceClientOptions {
  /** For the delays between attempts. Default: `Math.random`. */
  readonly random?: () => number;
  /** A factor for these delays. Default: 0.02. */
  readonly delayShare?: number;
  /** How much faster its clock is, so that it soon notices a connection that is half open. Default: 1. */
  readonly haste?: number;
  /** Whether it keeps its frames and states, for {@link SequenceClient.trace}. Default: `false`. */
  readonly keepsFrames?: boolean;
  /** The class of its connections. Default: that of ws. */
  readonly socketClass?: new (
    url: string,
    protocols?: string[],
  ) => WebSocket;
}

/** The number of characters of a kept frame, and of lines before and after one that matters. */
const frameMax = 240;
const linesAround = 3;
const linesMax = 150;

function clockOf(haste: number) {
  return {
    now: () => haste * performance.now(),
    setTimeout(callback: () => void, ms: number) {
      const timer = setTimeout(callback, ms / haste);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}

/** A client of `enfilade/client` that records what it gets, and each report of a loss, in order. */
export class SequenceClient implements Observer {
  readonly observations: Observation[] = [];
  readonly faults: string[] = [];
  readonly lost: Lost[] = [];
  recovered = 0;
  readonly #lines: string[] = [];
  readonly room: ClientRoom;
  readonly #got = new Mailbox<string>();
  readonly #ids = new Set<string>();

  /** A client that its owner closes. */
  constructor(
    url: string,
    readonly name: string,
    options: SequenceClientOptions = {},
  ) {
    const { random = Math.random, delayShare = defaultDelayShare, haste = 1, socketClass = WebSocket } = options;
    // The class of ws has more than the client needs of a WebSocket, with other types.
    const own = {
      WebSocket: socketClass as never,
      clock: clockOf(haste),
      ...(options.keepsFrames && this.#keepFrames()),
    };
    this.room = connect(url, { ...own, random: () => delayShare * haste * random() });
    this.room.on("message", ({ data, offset }) => {
      // The handler greets without a position.
      if (offset !== undefined) this.#take(String(data), offset);
    });
    this.room.on("lost", (lost) => {
      this.lost.push(lost);
      this.observations.push({ kind: "reported", why: lost.reason, missed: lost.missed });
    });
    this.room.on("recovered", () => {
      this.recovered += 1;
    });
    this.room.on("error", (error) => {
      // A closing server refuses clients, and a killed one cannot be reached; they try again.
      if (!(error instanceof ConnectError && (error.status ?? 503) === 503)) this.faults.push(`${name}: ${error}`);
    });
  }

  /** A client that is in the room, until the end of the test. */
  static async open(url: string, name = "client"): Promise<SequenceClient> {
    const client = new SequenceClient(url, name);
    onTestFinished(() => client.room.close());
    await client.room.opened;
    return client;
  }

  /** What it saw near its connects, its reports, and all that came twice; at most {@link linesMax} lines. */
  get trace(): readonly string[] {
    const seen = new Set<string>();
    const matters = this.#lines.map((line) => {
      const [, message] = / ← (\{"type":"message".*)/.exec(line) ?? [];
      const data = message && /"data":.*/.exec(message)?.[0];
      const isNew = data !== undefined && !seen.has(data);
      if (isNew) seen.add(data);
      return !isNew;
    });
    const isNear = (at: number) => matters.slice(Math.max(0, at - linesAround), at + linesAround + 1).includes(true);
    return this.#lines.filter((_line, at) => isNear(at)).slice(0, linesMax);
  }

  #keepFrames() {
    return {
      debug: (line: string) => void this.#lines.push(`${performance.now().toFixed(0)} ${line.slice(0, frameMax)}`),
    };
  }

  /** Everything it got, in order. */
  get ids(): readonly string[] {
    return this.#got.all;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Resolves when it has got this publication. */
  async gets(id: string): Promise<void> {
    while (!this.#ids.has(id)) await this.#got.have(this.#got.all.length + 1);
  }

  /** Resolves when it has got as many publications, with all of them. */
  async have(count: number): Promise<readonly string[]> {
    return this.#got.have(count);
  }

  #take(id: string, offset: number): void {
    const { position } = this.room;
    this.#ids.add(id);
    this.observations.push({ kind: "got", id, position: position && { ...position, offset } });
    this.#got.put(id);
  }
}
