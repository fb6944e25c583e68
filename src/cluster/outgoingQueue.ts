import { type Clock, deferred, type Timer } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";
import type { Position } from "../wire/position.js";
import type { Engine, EngineRoom } from "./engine.js";
import type { EngineState } from "./engineState.js";
import { joinNodeMessages } from "./nodeMessageBatch.js";

export interface OutgoingDeps {
  readonly engine: Pick<Engine, "name" | "publish" | "append" | "appendMax" | "refuses" | "restart">;
  readonly clock: Clock;
  readonly engineState: EngineState;
  readonly backplaneMs: number;
  readonly backplaneBytesMax: number;
  /** Resolves when a channel is subscribed, or cannot be now; `undefined` when that is so already. */
  readonly subscribed: (channel: string) => Promise<void> | undefined;
}

/** What was published to one channel in one event-loop tick. */
interface NodeMessageBatch {
  readonly channel: string;
  /** Set for a room with history. */
  readonly room: EngineRoom | undefined;
  readonly messages: Uint8Array[];
  bytes: number;
  /** Resolves with the position of the first message, for a room with history. */
  readonly promise: Promise<Position | undefined>;
  readonly resolve: (first: Position | undefined) => void;
  readonly reject: (error: unknown) => void;
  /** Called instead while the other nodes cannot be reached; without them the messages are rejected. */
  readonly deliverHere: (() => void)[];
}

const unanswered = "no answer came, so it is not known whether it was published";
/** The kind of outage of a lost connection, for publications in flight and for those that follow. */
const connectionLost = "connection lost";
const overload = "it takes publications slower than they come; await publish() to slow down";
/** Outages that are told apart. */
const outagesMax = 1_000;
/** Node messages in one batch, and their bytes; a larger message is sent by itself. */
const batchMessagesMax = 256;
const batchBytesMax = 64 * 1024;

/**
 * Publications on their way to the engine. Those to one channel in one event-loop tick are sent as one batch. Until they
 * are answered, all of them are bounded in bytes and in time.
 */
export class OutgoingQueue {
  readonly #deps: OutgoingDeps;
  #queue: NodeMessageBatch[] = [];
  /** The last of the queue for each channel. */
  readonly #latest = new Map<string, NodeMessageBatch>();
  #bytes = 0;
  #begun = 0;
  #answered = 0;
  #timer: Timer | undefined;
  /** The first error of each kind of outage, so that the others can name it as their cause; of one connection. */
  readonly #outages = new Map<string, Error>();
  #outagesOf = 0;
  #failures = 0;
  #whenIdle: (() => void) | undefined;

  constructor(deps: OutgoingDeps) {
    this.#deps = deps;
  }

  /** How many publications were rejected. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Publishes a node message.
   *
   * @param deliverHere Called instead while the other nodes cannot be reached; without it, the message is rejected then.
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`.
   */
  post(channel: string, message: Uint8Array, deliverHere: (() => void) | undefined): Promise<undefined> {
    const batch = this.#add(channel, message, undefined);
    if (batch instanceof EnfiladeError) return Promise.reject(batch);
    if (deliverHere !== undefined) batch.deliverHere.push(deliverHere);
    // A batch without a room resolves with `undefined`.
    return batch.promise as Promise<undefined>;
  }

  /** Publishes a node message and keeps it; resolves with its position. */
  append(room: EngineRoom, message: Uint8Array): Promise<Position | undefined> {
    const batch = this.#add(room.path, message, room);
    if (batch instanceof EnfiladeError) return Promise.reject(batch);
    const index = batch.messages.length - 1;
    if (index === 0) return batch.promise;
    return batch.promise.then((first) => first && { epoch: first.epoch, offset: first.offset + index });
  }

  /** The error for a call that the engine failed. */
  errorOf(why: string, cause: Error, kind = why): EnfiladeError {
    const { engineState, engine } = this.#deps;
    const { connectionNumber } = engineState;
    if (this.#outagesOf !== connectionNumber || this.#outages.size > outagesMax) this.#outages.clear();
    this.#outagesOf = connectionNumber;
    const outage = this.#outages.get(kind) ?? cause;
    this.#outages.set(kind, outage);
    return new EnfiladeError("ERR_BACKPLANE", `${engine.name}: ${why} (${cause.message})`, { cause: outage });
  }

  /** Resolves when all publications are answered. */
  async idle(): Promise<void> {
    if (this.#answered === this.#begun) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** The connection is lost: no answer is waited for. */
  stopWatching(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Adds a message to a batch and returns that, or why it is rejected. */
  #add(channel: string, message: Uint8Array, room: EngineRoom | undefined): NodeMessageBatch | EnfiladeError {
    const { engineState, engine, backplaneBytesMax } = this.#deps;
    const { length } = message;
    if (engineState.state === "away" && room !== undefined) return this.#away(1);
    if (this.#bytes + length > backplaneBytesMax && this.#bytes > 0) {
      const cause = new Error(
        `${this.#bytes} bytes wait for ${engine.name}, of ${backplaneBytesMax} (backplaneBytesMax)`,
      );
      return this.#failure(overload, cause, 1);
    }
    this.#bytes += length;
    const latest = this.#latest.get(channel);
    const messagesMax = room === undefined ? batchMessagesMax : engine.appendMax;
    const fits = latest !== undefined && latest.room?.history === room?.history && latest.messages.length < messagesMax;
    const batch = fits && latest.bytes + length <= batchBytesMax ? latest : this.#begin(channel, room);
    batch.messages.push(message);
    batch.bytes += length;
    return batch;
  }

  #begin(channel: string, room: EngineRoom | undefined): NodeMessageBatch {
    const batch: NodeMessageBatch = {
      channel,
      room,
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
    this.#latest.clear();
    for (const batch of queue) {
      const subscribed = this.#deps.subscribed(batch.channel);
      // A node must receive its own publications.
      if (subscribed === undefined) this.#send(batch);
      else subscribed.then(() => this.#send(batch));
    }
  }

  #send(batch: NodeMessageBatch): void {
    const { engineState, engine } = this.#deps;
    if (!engineState.isUp) {
      this.#deliverHere(batch);
      return;
    }
    this.#timer ??= this.#watch();
    const { channel, room, messages } = batch;
    const send = async () =>
      room === undefined ? engine.publish(channel, joinNodeMessages(messages)) : engine.append(room, messages);
    send().then(
      (answer) => {
        this.#settle(batch);
        // An engine answers `append` with a position; the answer to `publish` has no meaning.
        batch.resolve(room === undefined ? undefined : (answer as Position));
      },
      (thrown) => {
        this.#settle(batch);
        const error = asError(thrown);
        const isRefused = engine.refuses(error);
        const why = isRefused ? "it refused a publication" : unanswered;
        batch.reject(this.#failure(why, error, messages.length, isRefused ? `refused ${channel}` : connectionLost));
      },
    );
  }

  /** The other nodes cannot be reached. */
  #deliverHere(batch: NodeMessageBatch): void {
    const { deliverHere, messages } = batch;
    this.#settle(batch);
    if (deliverHere.length < messages.length) {
      batch.reject(this.#away(messages.length));
      return;
    }
    for (const deliver of deliverHere) deliver();
    batch.resolve(undefined);
  }

  #away(count: number): EnfiladeError {
    const why = "it cannot be reached now, so nothing is published until it is back";
    return this.#failure(why, this.#deps.engineState.outage, count, connectionLost);
  }

  #failure(why: string, cause: Error, count: number, kind = why): EnfiladeError {
    this.#failures += count;
    return this.errorOf(why, cause, kind);
  }

  #settle({ bytes }: NodeMessageBatch): void {
    this.#answered += 1;
    this.#bytes -= bytes;
    if (this.#answered !== this.#begun) return;
    this.#outages.delete(overload);
    this.#whenIdle?.();
  }

  /** Checks after a while whether the engine has answered anything that was sent before. */
  #watch(): Timer {
    const { clock, backplaneMs, engine } = this.#deps;
    const [begun, answered] = [this.#begun, this.#answered];
    return clock.setTimeout(() => {
      this.#timer = undefined;
      const isSilent = this.#answered === answered && answered < begun;
      if (isSilent) engine.restart(new Error(`${engine.name} did not answer within ${backplaneMs} ms`));
      if (this.#answered < this.#begun) this.#timer = this.#watch();
    }, backplaneMs);
  }
}
