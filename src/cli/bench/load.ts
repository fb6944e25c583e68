import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { type Clock, deferred } from "../../connection/clock.js";
import { meaningOf, messageOf } from "../failure.js";
import type { Sockets, WebSocket } from "../socket.js";
import { visible } from "../text.js";
import { Marks } from "./mark.js";
import type { Plan } from "./plan.js";
import { Receiver } from "./receiver.js";

/** Messages that are sent in one turn. After a stall, the rest follows in the next turns. */
const turnMessagesMax = 1_000;
/** Unsent bytes of one connection, above which its messages are left out. */
const unsentBytesMax = 16 * 1_048_576;
/** Milliseconds before a message in which no timer is used. */
const spinMs = 2;
/** WebSockets that are opened at the same time. */
const openingMax = 50;

/** Milliseconds without an arrival after which a complete run has ended. */
const quietEnoughMs = 300;
/** Milliseconds between two checks whether messages still arrive. */
const pollMs = 20;
/** Milliseconds after the last message is sent, after which a run ends in any case. */
const settleMsMax = 120_000;

const histogram = { lowest: 1, highest: 3_600_000_000, figures: 3 };

/** The connections of one run: sends on a schedule, and checks what comes back. */
export class Load {
  /** Microseconds from the scheduled time of a message to its arrival. */
  readonly latency: RecordableHistogram = createHistogram(histogram);
  /** Microseconds from the scheduled time of a message to its sending: the delay of this process. */
  readonly lateness: RecordableHistogram = createHistogram(histogram);
  /** Messages that arrived, those of other connections included. */
  received = 0;
  /** Messages that were left out, since a connection had too many unsent bytes. */
  unsent = 0;
  /** Messages that are not of this run. */
  foreign = 0;
  /** The close codes of connections that ended too early, with their reasons. */
  readonly ends: string[] = [];
  readonly #plan: Plan;
  readonly #clock: Clock;
  readonly #marks: Marks;
  readonly #sockets: WebSocket[] = [];
  readonly #receivers: Receiver[];
  /** By sender. */
  readonly #sent: Int32Array;
  /** How many messages are scheduled so far. The n-th one is of the connection n modulo their number. */
  #scheduled = 0;
  #startedAt = 0;
  #isOver = false;

  constructor(plan: Plan, clock: Clock, run: string) {
    this.#plan = plan;
    this.#clock = clock;
    this.#marks = new Marks(run);
    this.#receivers = plan.urls.map(() => new Receiver(plan.urls.length));
    this.#sent = new Int32Array(plan.urls.length);
  }

  get sent(): number {
    return this.#sent.reduce((sum, count) => sum + count, 0);
  }

  /** Messages that are missing where others of their sender came. */
  get missing(): number {
    return this.#receivers.reduce((sum, receiver) => sum + receiver.missing(this.#sent), 0);
  }

  /** Messages that arrived after a later one of their sender. */
  get late(): number {
    return this.#receivers.reduce((sum, { late }) => sum + late, 0);
  }

  /** Messages that arrived again. */
  get repeated(): number {
    return this.#receivers.reduce((sum, { repeated }) => sum + repeated, 0);
  }

  /** Messages that came back to their own sender. */
  get returned(): number {
    return this.#receivers.reduce((sum, { returned }) => sum + returned, 0);
  }

  /** Opens all connections. Rejects with the first failure. */
  async open(sockets: Sockets): Promise<void> {
    const { urls } = this.#plan;
    for (let first = 0; first < urls.length; first += openingMax) {
      const some = urls.slice(first, first + openingMax);
      await Promise.all(some.map((url, index) => this.#open(sockets, url, first + index)));
    }
  }

  /** Sends all messages, each at its time or as soon as possible after it. */
  async send(interrupted: AbortSignal): Promise<void> {
    const { perSecond, durationMs } = this.#plan;
    const total = Math.floor((perSecond * durationMs) / 1_000);
    this.#startedAt = this.#clock.now();
    while (this.#scheduled < total && !interrupted.aborted && this.ends.length < this.#sockets.length) {
      const due = Math.min(total, Math.floor(((this.#clock.now() - this.#startedAt) * perSecond) / 1_000) + 1);
      const last = Math.min(due, this.#scheduled + turnMessagesMax);
      while (this.#scheduled < last) this.#sendNext();
      await this.#until(this.#timeOf(this.#scheduled));
    }
  }

  /**
   * Waits until nothing has arrived for some time: for `waitMs` if messages are missing, else for less. After an
   * interruption too: what is on its way is not lost.
   */
  async settle(): Promise<void> {
    const { waitMs } = this.#plan;
    const end = this.#clock.now() + settleMsMax;
    let [received, quietSince] = [this.received, this.#clock.now()];
    const quietMs = () => {
      if (this.sent === 0) return 0;
      return received > 0 && this.missing === 0 ? Math.min(waitMs, quietEnoughMs) : waitMs;
    };
    while (this.#clock.now() - quietSince < quietMs() && this.#clock.now() < end) {
      await this.#pause(pollMs);
      if (this.received !== received) [received, quietSince] = [this.received, this.#clock.now()];
    }
  }

  /** From now on, the end of a connection is no failure. */
  end(): void {
    this.#isOver = true;
  }

  /** Resolves near this time, after messages were read. A timer alone would be up to a millisecond late. */
  #until(time: number): Promise<void> {
    const ms = Math.floor(time - this.#clock.now() - spinMs);
    return ms > 0 ? this.#pause(ms) : new Promise((resolve) => setImmediate(resolve));
  }

  #pause(ms: number): Promise<void> {
    const { promise, resolve } = deferred<void>();
    this.#clock.setTimeout(resolve, ms);
    return promise;
  }

  #record(target: RecordableHistogram, scheduled: number): void {
    target.record(Math.max(1, Math.round((this.#clock.now() - this.#timeOf(scheduled)) * 1_000)));
  }

  #timeOf(scheduled: number): number {
    return this.#startedAt + (scheduled * 1_000) / this.#plan.perSecond;
  }

  #sendNext(): void {
    const connections = this.#sockets.length;
    const sender = this.#scheduled % connections;
    const socket = this.#sockets[sender];
    const number = this.#sent[sender] ?? 0;
    this.#scheduled += 1;
    if (socket === undefined || socket.readyState !== socket.OPEN || socket.bufferedAmount > unsentBytesMax) {
      this.unsent += 1;
      return;
    }
    this.#sent[sender] = number + 1;
    const { event, messageBytes } = this.#plan;
    this.#record(this.lateness, this.#scheduled - 1);
    const text = this.#marks.text({ sender, number, scheduled: this.#scheduled - 1 }, messageBytes);
    socket.send(event === undefined ? text : `{"event":${JSON.stringify(event)},"data":${text}}`);
  }

  #open(sockets: Sockets, url: string, at: number): Promise<void> {
    const socket = sockets.open(url);
    this.#sockets[at] = socket;
    const { promise, resolve, reject } = deferred<void>();
    let failure = "";
    socket.on("open", () => resolve());
    socket.on("error", (error) => {
      failure = meaningOf(messageOf(error));
    });
    socket.on("message", (data: Buffer) => this.#onMessage(at, data));
    socket.on("close", (code, reason) => {
      const text = visible(`${code} ${String(reason) || failure}`).trim();
      if (!this.#isOver) this.ends.push(text);
      reject(new Error(`connection ${at} could not be opened: ${text}`));
    });
    return promise;
  }

  #onMessage(at: number, data: Buffer): void {
    const mark = this.#marks.find(data.toString("latin1"));
    // A mark that was never sent is not of this run.
    if (mark === undefined || mark.number >= (this.#sent[mark.sender] ?? 0) || mark.scheduled >= this.#scheduled) {
      this.foreign += 1;
      return;
    }
    this.received += 1;
    this.#record(this.latency, mark.scheduled);
    const receiver = this.#receivers[at];
    receiver?.take(mark.sender, mark.number);
    if (receiver !== undefined && mark.sender === at) receiver.returned += 1;
  }
}
