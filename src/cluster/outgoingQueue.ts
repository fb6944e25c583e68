import { type Clock, deferred, type Timer, timeIsUp, within } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import type { Engine, EngineRoom, PublicationId } from "./engine.js";
import type { EngineState } from "./engineState.js";
import { joinNodeMessages, lengthBytes } from "./nodeMessageBatch.js";
import { OutgoingLanes } from "./outgoingLanes.js";

export interface OutgoingDeps {
  readonly engine: Pick<
    Engine,
    "name" | "publish" | "append" | "appendMax" | "isPipelined" | "messageBytesMax" | "refuses" | "restart"
  >;
  readonly clock: Clock;
  readonly engineState: EngineState;
  readonly backplaneMs: number;
  readonly backplaneBytesMax: number;
  /** Resolves when messages may be sent to a channel; `undefined` if they may be sent now. */
  readonly whenReady: (channel: string) => Promise<void> | undefined;
  /** Called with the position of the last publication of an answered batch. */
  readonly onAppended: (path: RoomPath, position: Position) => void;
}

/** The messages to one channel in one event-loop tick. */
interface NodeMessageBatch {
  readonly channel: string;
  /** Set if the messages are stored in the history of a room. */
  readonly room: EngineRoom | undefined;
  readonly messages: Uint8Array[];
  /** The id of the only message, which its caller may send again. */
  readonly id: PublicationId | undefined;
  bytes: number;
  /** Resolves with the position of the first message, or `undefined` without history. */
  readonly promise: Promise<Position | undefined>;
  readonly resolve: (first: Position | undefined) => void;
  readonly reject: (error: unknown) => void;
  /** Called in place of sending while the engine cannot be reached. Messages without one are rejected then. */
  readonly deliverHere: (() => void)[];
}

const unanswered = "it did not answer, so the message may or may not have been published";
/** The kind of outage of a lost connection, for publications in flight and for those that follow. */
const connectionLost = "connection lost";
const overload = "it accepts publications more slowly than they are sent; await publish() to slow down";
/** A batch without an answer is lost after `backplaneMs` times this, while others are answered. */
const lostAfter = 4;
/** The number of outages that are distinguished. */
const outagesMax = 1_000;
/** The number of node messages in one batch, and of their bytes. A larger message is sent in a batch of its own. */
const batchMessagesMax = 256;
const batchBytesMax = 64 * 1024;

/**
 * The publications that the engine has not answered yet. Those to one channel in one event-loop tick are sent as one
 * batch. Their number of bytes and the time for an answer are limited.
 */
export class OutgoingQueue {
  readonly #deps: OutgoingDeps;
  #queue: NodeMessageBatch[] = [];
  readonly #lanes: OutgoingLanes<NodeMessageBatch>;
  /** The last batch for each channel, until it is sent. */
  readonly #latest = new Map<string, NodeMessageBatch>();
  #bytes = 0;
  #begun = 0;
  #answered = 0;
  /** Batches that the engine has and has not answered, and since when it has answered none of them. */
  #unanswered = 0;
  #silentSince = 0;
  #timer: Timer | undefined;
  /** The first error of each kind of outage, on one connection. Further errors have it as their cause. */
  readonly #outages = new Map<string, Error>();
  #outagesConnection = 0;
  #failures = 0;
  #whenIdle: (() => void) | undefined;

  constructor(deps: OutgoingDeps) {
    this.#deps = deps;
    const { engine, whenReady } = deps;
    const isPipelined = () => engine.isPipelined ?? true;
    this.#lanes = new OutgoingLanes({ whenReady, send: (batch) => this.#send(batch), isPipelined });
  }

  /** The number of rejected publications. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Publishes a node message. Rejects with `ERR_BACKPLANE`.
   *
   * @param deliverHere Called in place of sending while the engine cannot be reached. Without it the promise rejects.
   */
  post(channel: string, message: Uint8Array, deliverHere: (() => void) | undefined): Promise<undefined> {
    const batch = this.#add(channel, message);
    if (batch instanceof EnfiladeError) return Promise.reject(batch);
    if (deliverHere !== undefined) batch.deliverHere.push(deliverHere);
    // A batch without a room resolves with `undefined`.
    return batch.promise as Promise<undefined>;
  }

  /** Publishes a node message and stores it in the history of its room. Resolves with its position. */
  append(room: EngineRoom, message: Uint8Array, id?: PublicationId): Promise<Position | undefined> {
    const batch = this.#add(room.path, message, room, id);
    if (batch instanceof EnfiladeError) return Promise.reject(batch);
    const index = batch.messages.length - 1;
    if (index === 0) return batch.promise;
    return batch.promise.then((first) => first && { epoch: first.epoch, offset: first.offset + index });
  }

  /**
   * Makes the error of a failed call. Errors of one `kind` have the first one as their cause, until the next
   * connection.
   */
  errorOf(problem: string, cause: Error, kind = problem): EnfiladeError {
    const { engineState, engine } = this.#deps;
    const { connectionNumber } = engineState;
    if (this.#outagesConnection !== connectionNumber || this.#outages.size > outagesMax) this.#outages.clear();
    this.#outagesConnection = connectionNumber;
    const outage = this.#outages.get(kind) ?? cause;
    this.#outages.set(kind, outage);
    return new EnfiladeError("ERR_BACKPLANE", `${engine.name}: ${problem} (${cause.message})`, { cause: outage });
  }

  /** Resolves when all publications are answered. */
  async idle(): Promise<void> {
    if (this.#answered === this.#begun) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** The connection is lost, so answers are not expected. */
  stopWatching(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Adds a message to a batch and returns the batch, or the error of a rejected message. */
  #add(channel: string, message: Uint8Array, room?: EngineRoom, id?: PublicationId): NodeMessageBatch | EnfiladeError {
    const { engineState, engine, backplaneBytesMax } = this.#deps;
    const { messageBytesMax = Number.POSITIVE_INFINITY } = engine;
    if (message.length > messageBytesMax) return tooLarge(engine.name, message.length, messageBytesMax);
    const length = message.length + lengthBytes;
    if (engineState.state === "away" && room !== undefined) return this.#outageError(1);
    if (this.#bytes + length > backplaneBytesMax && this.#bytes > 0) {
      const waiting = `${this.#bytes} bytes wait for ${engine.name}`;
      const cause = new Error(`${waiting}; the limit backplaneBytesMax is ${backplaneBytesMax}`);
      return this.#countedError(overload, cause, 1);
    }
    this.#bytes += length;
    const latest = this.#latest.get(channel);
    const messagesMax = room === undefined ? batchMessagesMax : engine.appendMax;
    const bytesMax = Math.min(batchBytesMax, messageBytesMax);
    const isFull = latest === undefined || latest.messages.length >= messagesMax || latest.bytes + length > bytesMax;
    const isOther = latest?.room?.history !== room?.history || latest?.id !== undefined || id !== undefined;
    const batch = isFull || isOther ? this.#begin(channel, room, id) : latest;
    batch.messages.push(message);
    batch.bytes += length;
    return batch;
  }

  #begin(channel: string, room: EngineRoom | undefined, id: PublicationId | undefined): NodeMessageBatch {
    const batch: NodeMessageBatch = {
      channel,
      room,
      id,
      messages: [],
      bytes: 0,
      deliverHere: [],
      ...deferred<Position | undefined>(),
    };
    this.#begun += 1;
    this.#latest.set(channel, batch);
    if (this.#queue.push(batch) === 1) setImmediate(() => this.#flush());
    return batch;
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    // A node must be subscribed first, to receive its own publications.
    for (const batch of queue) this.#lanes.add(batch.channel, batch);
  }

  /** Resolves when the batch is answered. Never rejects. */
  async #send(batch: NodeMessageBatch): Promise<void> {
    const { engineState, engine, clock, backplaneMs } = this.#deps;
    const { channel, messages } = batch;
    if (this.#latest.get(channel) === batch) this.#latest.delete(channel);
    if (!engineState.isUp) {
      this.#deliverHere(batch);
      return;
    }
    if (this.#unanswered === 0) this.#silentSince = clock.now();
    this.#unanswered += 1;
    this.#timer ??= this.#watch(backplaneMs);
    try {
      const position = await this.#inTime(this.#handOver(batch));
      this.#onAnswer(batch);
      batch.resolve(position);
    } catch (thrown) {
      this.#onAnswer(batch);
      const error = asError(thrown);
      const isRefused = engine.refuses(error);
      const problem = isRefused ? "it refused a publication" : unanswered;
      const kind = isRefused ? `refused ${channel}` : connectionLost;
      batch.reject(this.#countedError(problem, error, messages.length, kind));
    }
  }

  /**
   * Rejects if an engine of several servers answers other batches, and not this one: the client of a Redis cluster can
   * lose a command while masters change. A single server answers in order, or is silent.
   */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const { engine, clock, backplaneMs } = this.#deps;
    if (engine.isPipelined) return answer;
    const ms = lostAfter * backplaneMs;
    const answered = await within(clock, ms, answer);
    if (answered === timeIsUp) throw new Error(`${engine.name} did not answer it within ${ms} ms, but others`);
    return answered;
  }

  /** Resolves with the position of the first message, or `undefined` without history. */
  async #handOver({ channel, room, messages, id }: NodeMessageBatch): Promise<Position | undefined> {
    const { engine, onAppended } = this.#deps;
    if (room === undefined) {
      await engine.publish(channel, joinNodeMessages(messages));
      return undefined;
    }
    const first = await engine.append(room, messages, id);
    onAppended(room.path, { epoch: first.epoch, offset: first.offset + messages.length - 1 });
    return first;
  }

  /** Delivers on this node only, or rejects. */
  #deliverHere(batch: NodeMessageBatch): void {
    const { deliverHere, messages } = batch;
    this.#settle(batch);
    if (deliverHere.length < messages.length) {
      batch.reject(this.#outageError(messages.length));
      return;
    }
    for (const deliver of deliverHere) deliver();
    batch.resolve(undefined);
  }

  #outageError(count: number): EnfiladeError {
    const problem = "it cannot be reached, so nothing is published";
    return this.#countedError(problem, this.#deps.engineState.outage, count, connectionLost);
  }

  #countedError(problem: string, cause: Error, count: number, kind = problem): EnfiladeError {
    this.#failures += count;
    return this.errorOf(problem, cause, kind);
  }

  #onAnswer(batch: NodeMessageBatch): void {
    this.#unanswered -= 1;
    this.#silentSince = this.#deps.clock.now();
    this.#settle(batch);
  }

  #settle({ bytes }: NodeMessageBatch): void {
    this.#answered += 1;
    this.#bytes -= bytes;
    if (this.#answered !== this.#begun) return;
    this.#outages.delete(overload);
    this.#whenIdle?.();
  }

  /** Reconnects to the engine if it answers none of its batches for `backplaneMs`. */
  #watch(ms: number): Timer {
    const { clock, backplaneMs, engine } = this.#deps;
    const dueAt = clock.now() + ms;
    return clock.setTimeout(() => {
      this.#timer = undefined;
      if (this.#unanswered === 0) return;
      // In the time for which this process was blocked, it has read no answer.
      this.#silentSince += clock.now() - dueAt;
      const remainingMs = this.#silentSince + backplaneMs - clock.now();
      if (remainingMs <= 0) engine.restart(new Error(`${engine.name} did not answer within ${backplaneMs} ms`));
      this.#timer = this.#watch(remainingMs > 0 ? remainingMs : backplaneMs);
    }, ms);
  }
}

function tooLarge(engine: string, bytes: number, bytesMax: number): EnfiladeError {
  const what = `a message of ${bytes} bytes is above the ${bytesMax} that the server of ${engine} accepts`;
  return new EnfiladeError("ERR_VALUE", `${what}; send less, or raise its limit (max_payload of NATS)`);
}
