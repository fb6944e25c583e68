import { type Clock, deferred, type Timer } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";
import type { Position } from "../wire/position.js";
import type { Engine, EngineRoom } from "./engine.js";
import type { EngineState } from "./engineState.js";
import { joinNodeMessages } from "./nodeMessageBatch.js";

export interface OutgoingDeps {
  readonly engine: Pick<Engine, "name" | "publish" | "append" | "appendMax" | "refuses" | "restart">;
  readonly clock: Clock;
  readonly link: EngineState;
  readonly backplaneMs: number;
  readonly backplaneBytesMax: number;
  /** Resolves when this node hears what it publishes to a channel, or cannot; `undefined` when it does. */
  readonly heard: (channel: string) => Promise<void> | undefined;
}

/** What was published to one channel in one turn of the loop. */
interface NodeMessageBatch {
  readonly channel: string;
  /** Where it is kept, and numbered. */
  readonly room: EngineRoom | undefined;
  readonly messages: Uint8Array[];
  bytes: number;
  /** The position of the first, where it is kept. */
  readonly promise: Promise<Position | undefined>;
  readonly resolve: (first: Position | undefined) => void;
  readonly reject: (error: unknown) => void;
  /** What becomes of it while the other nodes cannot be reached; refused if nothing. */
  readonly deliverHere: (() => void)[];
}

const unanswered = "no answer came, so nobody knows whether it was published";
/** The kind of trouble that a lost connection is, for what was under way and for what comes then. */
const lost = "lost";
const overload = "it takes publications slower than they come; await publish() to go no faster";
/** Troubles that are told apart. */
const troublesMax = 1_000;
/** Parcels, and bytes of them, that go in one message; what is larger goes alone. */
const parcelsMax = 256;
const joinedBytesMax = 64 * 1024;

/**
 * What is published, on its way to the engine: what goes to one channel in one turn of the loop goes together, and all of
 * it is bounded in bytes and in time until it is answered.
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
  /** What failures came of, so that of one trouble only the first is told: by their kind, of one life of the connection. */
  readonly #outages = new Map<string, Error>();
  #troubledLife = 0;
  #failures = 0;
  #whenIdle: (() => void) | undefined;

  constructor(deps: OutgoingDeps) {
    this.#deps = deps;
  }

  /** How many publications were refused, or never answered. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Publishes a parcel.
   *
   * @param here Called in its place while the other nodes cannot be reached; without it, it is refused then.
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE`.
   */
  post(channel: string, parcel: Uint8Array, here: (() => void) | undefined): Promise<undefined> {
    const batch = this.#add(channel, parcel, undefined);
    if (batch instanceof EnfiladeError) return Promise.reject(batch);
    if (here !== undefined) batch.deliverHere.push(here);
    // Without a room nothing is numbered.
    return batch.promise as Promise<undefined>;
  }

  /** Publishes a parcel and keeps it; resolves with its position. */
  append(room: EngineRoom, parcel: Uint8Array): Promise<Position | undefined> {
    const batch = this.#add(room.path, parcel, room);
    if (batch instanceof EnfiladeError) return Promise.reject(batch);
    const index = batch.messages.length - 1;
    if (index === 0) return batch.promise;
    return batch.promise.then((first) => first && { epoch: first.epoch, offset: first.offset + index });
  }

  /** What anybody is told who wanted something of the engine. */
  errorOf(why: string, cause: Error, kind = why): EnfiladeError {
    const { link, engine } = this.#deps;
    if (this.#troubledLife !== link.connectionNumber || this.#outages.size > troublesMax) this.#outages.clear();
    this.#troubledLife = link.connectionNumber;
    const trouble = this.#outages.get(kind) ?? cause;
    this.#outages.set(kind, trouble);
    return new EnfiladeError("ERR_BACKPLANE", `${engine.name}: ${why} (${cause.message})`, { cause: trouble });
  }

  /** Resolves when all is answered. */
  async idle(): Promise<void> {
    if (this.#answered === this.#begun) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** The connection that was to answer is gone. */
  stopWatching(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The batch that a parcel now belongs to; or why it is refused. */
  #add(channel: string, parcel: Uint8Array, room: EngineRoom | undefined): NodeMessageBatch | EnfiladeError {
    const { link, engine, backplaneBytesMax } = this.#deps;
    const { length } = parcel;
    if (link.state === "away" && room !== undefined) return this.#away(1);
    if (this.#bytes + length > backplaneBytesMax && this.#bytes > 0) {
      const cause = new Error(
        `${this.#bytes} bytes wait for ${engine.name}, of ${backplaneBytesMax} (backplaneBytesMax)`,
      );
      return this.#failure(overload, cause, 1);
    }
    this.#bytes += length;
    const latest = this.#latest.get(channel);
    const most = room === undefined ? parcelsMax : engine.appendMax;
    const fits = latest !== undefined && latest.room?.history === room?.history && latest.messages.length < most;
    const batch = fits && latest.bytes + length <= joinedBytesMax ? latest : this.#begin(channel, room);
    batch.messages.push(parcel);
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
      const heard = this.#deps.heard(batch.channel);
      // A node must not miss its own.
      if (heard === undefined) this.#give(batch);
      else heard.then(() => this.#give(batch));
    }
  }

  #give(batch: NodeMessageBatch): void {
    const { link, engine } = this.#deps;
    if (!link.isUp) {
      this.#giveHere(batch);
      return;
    }
    this.#timer ??= this.#watch();
    const { channel, room, messages } = batch;
    const give = async () =>
      room === undefined ? engine.publish(channel, joinNodeMessages(messages)) : engine.append(room, messages);
    give().then(
      (answer) => {
        this.#settle(batch);
        // What a publication without history is answered with is the engine's own affair.
        batch.resolve(room === undefined ? undefined : (answer as Position));
      },
      (thrown) => {
        this.#settle(batch);
        const error = asError(thrown);
        const isRefused = engine.refuses(error);
        const why = isRefused ? "it refused a publication" : unanswered;
        batch.reject(this.#failure(why, error, messages.length, isRefused ? `refused ${channel}` : lost));
      },
    );
  }

  /** The other nodes cannot be reached. */
  #giveHere(batch: NodeMessageBatch): void {
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
    return this.#failure(why, this.#deps.link.outage, count, lost);
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

  /** Looks after a while whether anything was answered, of all that was begun before. */
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
