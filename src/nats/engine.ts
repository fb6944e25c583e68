import { createHash } from "node:crypto";
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from "@nats-io/jetstream";
import { headers, type Msg, type NatsConnection, NoRespondersError, type Subscription } from "@nats-io/transport-node";
import type { HistoryTerms, KeptQuery } from "../backplane/backplane.js";
import type { Engine, EngineEvents, KeptBytes, KeptRoom } from "../backplane/engine.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";

export interface NatsEngineParts {
  /** Before every subject, and every name of a stream. */
  readonly prefix: string;
  readonly storage: "file" | "memory";
  readonly replicas: number;
  /** Makes one connection, which does not come back by itself. */
  readonly connect: () => Promise<NatsConnection>;
}

/** What is there as long as one connection is. */
interface Session {
  readonly connection: NatsConnection;
  readonly streams: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly subscriptions: Map<string, Subscription>;
  /** The streams of rooms, once they are known to be there. */
  readonly rooms: Map<RoomPath, Promise<Stream>>;
  /** Whatever was published before it resolves has reached the server. */
  flushing: Promise<void> | undefined;
}

interface Stream {
  readonly name: string;
  readonly subject: string;
  readonly epoch: string;
}

/** The header that names the epoch which a publisher numbers in. */
const epochHeader = "Enfilade-Epoch";
/** How republished messages bear their sequence: https://docs.nats.io/nats-concepts/jetstream/streams#republish */
const sequenceHeader = "Nats-Sequence";
const nanosPerMs = 1_000_000;
/** For as long as it is not known whether a publication arrived; the server wants no more than the age of messages. */
const duplicateMsMax = 10_000;
const readMs = 5_000;
/** Names that are longer are hashed; a subject has to fit a line of the protocol. */
const nameBytesMax = 96;

/** NATS: core subjects, and for each room with history a stream of JetStream, whose sequence is the offset. */
export class NatsEngine implements Engine {
  readonly name = "nats";
  readonly #parts: NatsEngineParts;
  #events: EngineEvents | undefined;
  #session: Session | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  #connecting: Promise<void> | undefined;

  constructor(parts: NatsEngineParts) {
    this.#parts = parts;
  }

  start(events: EngineEvents): void {
    this.#events = events;
    this.#attempts = 0;
    this.#connect();
  }

  restart(reason: Error): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#lose(session, reason);
    session.connection.close().catch((error) => this.#events?.down(asError(error)));
  }

  async subscribe(channels: readonly string[]): Promise<unknown> {
    const session = this.#connected;
    for (const channel of channels) {
      if (session.subscriptions.has(channel)) continue;
      const callback = (error: Error | null, message: Msg) => {
        if (error === null) this.#hear(session, channel, message);
      };
      session.subscriptions.set(channel, session.connection.subscribe(this.#subject(channel), { callback }));
    }
    return this.#flushed(session);
  }

  async unsubscribe(channels: readonly string[]): Promise<unknown> {
    const session = this.#connected;
    for (const channel of channels) {
      session.subscriptions.get(channel)?.unsubscribe();
      session.subscriptions.delete(channel);
    }
    return undefined;
  }

  async publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    const session = this.#connected;
    session.connection.publish(this.#subject(channel), bytes);
    return this.#flushed(session);
  }

  async append(path: RoomPath, bytes: Uint8Array, history: HistoryTerms): Promise<Position> {
    const session = this.#connected;
    const known = session.rooms.get(path);
    try {
      return await this.#appendTo(session, await (known ?? this.#stream(session, path, history)), bytes);
    } catch (error) {
      if (!(error instanceof NoRespondersError)) throw error;
      // Somebody deleted the stream, so that nothing was kept.
      if (session.rooms.get(path) === known) session.rooms.delete(path);
      return this.#appendTo(session, await this.#stream(session, path, history), bytes);
    }
  }

  async read(path: RoomPath, { since, limit }: KeptQuery, history: HistoryTerms): Promise<KeptBytes> {
    const session = this.#connected;
    const { name, epoch, state } = await this.#look(session, path, history);
    const { first_seq: first, last_seq: last, messages } = state;
    const top = { epoch, offset: last };
    const isKnown = since !== undefined && since.epoch === epoch && since.offset <= last;
    const from = since === undefined ? last - limit + 1 : isKnown ? since.offset + 1 : first;
    const start = Math.max(first, 1, from);
    const count = messages === 0 ? 0 : Math.min(limit, last - start + 1);
    return { top, base: 0, entries: count > 0 ? await this.#fetch(session, name, start, count) : [] };
  }

  async tops(rooms: readonly KeptRoom[]): Promise<readonly Position[]> {
    const session = this.#connected;
    const top = async ({ path, history }: KeptRoom) => {
      const { epoch, state } = await this.#look(session, path, history);
      return { epoch, offset: state.last_seq };
    };
    return Promise.all(rooms.map(top));
  }

  async stop(): Promise<void> {
    this.#events = undefined;
    clearTimeout(this.#retry);
    const session = this.#session;
    this.#session = undefined;
    await session?.connection.drain();
    await this.#connecting;
  }

  get #connected(): Session {
    if (this.#session !== undefined) return this.#session;
    throw new Error("not connected");
  }

  #connect(): void {
    this.#connecting = this.#open().catch((error) => {
      this.#events?.down(asError(error));
      this.#connectLater();
    });
  }

  #connectLater(): void {
    if (this.#events === undefined) return;
    const ms = Math.min(2_000, 50 * 2 ** Math.min(this.#attempts, 10)) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#connect(), ms);
    this.#retry.unref();
  }

  async #open(): Promise<void> {
    const connection = await this.#parts.connect();
    if (this.#events === undefined) return connection.close();
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const streams = jetstream(connection);
    const session = { connection, streams, manager, subscriptions: new Map(), rooms: new Map(), flushing: undefined };
    this.#session = session;
    this.#attempts = 0;
    connection.closed().then(
      (reason) => this.#lose(session, reason ?? new Error("the connection was closed")),
      (error) => this.#lose(session, asError(error)),
    );
    this.#events.up();
  }

  #lose(session: Session, reason: Error): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#events?.down(reason);
    this.#connectLater();
  }

  #hear(session: Session, channel: string, message: Msg): void {
    if (this.#session !== session) return;
    const sequence = message.headers?.get(sequenceHeader) ?? "";
    if (sequence === "") {
      this.#events?.message(channel, message.data, undefined);
      return;
    }
    const epoch = message.headers?.get(epochHeader) ?? "";
    const isPosition = /^[\w-]{1,64}$/.test(epoch) && /^\d{1,16}$/.test(sequence);
    if (isPosition) this.#events?.message(channel, message.data, { epoch, offset: Number(sequence) });
    else this.#events?.malformed(channel);
  }

  /** One round trip for all that is published in the same turn of the loop. */
  #flushed(session: Session): Promise<void> {
    session.flushing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        session.flushing = undefined;
        session.connection.flush().then(resolve, reject);
      });
    });
    return session.flushing;
  }

  async #appendTo(session: Session, { subject, epoch }: Stream, bytes: Uint8Array): Promise<Position> {
    const marks = headers();
    marks.set(epochHeader, epoch);
    const { seq } = await session.streams.publish(subject, bytes, { headers: marks, retries: 0 });
    return { epoch, offset: seq };
  }

  /** The stream of a room, made if need be. */
  #stream(session: Session, path: RoomPath, history: HistoryTerms): Promise<Stream> {
    const known = session.rooms.get(path);
    if (known !== undefined) return known;
    const making = this.#make(session, path, history);
    session.rooms.set(path, making);
    making.catch(() => {
      if (session.rooms.get(path) === making) session.rooms.delete(path);
    });
    return making;
  }

  async #make(session: Session, path: RoomPath, history: HistoryTerms): Promise<Stream> {
    const { prefix, storage, replicas } = this.#parts;
    const token = tokenOf(path);
    const [name, subject] = [`${prefix}-${token}`, `${prefix}.kept.${token}`];
    const terms = {
      max_msgs: finite(history.size),
      max_bytes: finite(history.bytesMax),
      max_age: finite(history.ageMsMax, 0) * nanosPerMs,
      duplicate_window: Math.min(history.ageMsMax, duplicateMsMax) * nanosPerMs,
    };
    const info = await session.manager.streams.add({
      ...{ name, subjects: [subject], description: `What is kept of ${path}`, num_replicas: replicas, ...terms },
      ...{ storage: storage === "file" ? StorageType.File : StorageType.Memory, retention: RetentionPolicy.Limits },
      ...{ discard: DiscardPolicy.Old, republish: { src: subject, dest: this.#subject(path) } },
    });
    return { name, subject, epoch: epochOf(info) };
  }

  /** The stream of a room as it is now. */
  async #look(session: Session, path: RoomPath, history: HistoryTerms): Promise<Stream & Pick<StreamInfo, "state">> {
    const { name, subject } = await this.#stream(session, path, history);
    try {
      const info = await session.manager.streams.info(name);
      const stream = { name, subject, epoch: epochOf(info) };
      session.rooms.set(path, Promise.resolve(stream));
      return { ...stream, state: info.state };
    } catch (error) {
      // Perhaps somebody deleted it: the next look makes another one.
      session.rooms.delete(path);
      throw error;
    }
  }

  async #fetch(session: Session, name: string, start: number, count: number): Promise<KeptBytes["entries"]> {
    const consumer = await session.streams.consumers.get(name, { opt_start_seq: start });
    const entries: { offset: number; bytes: Uint8Array }[] = [];
    for await (const { seq, data, info } of await consumer.fetch({ max_messages: count, expires: readMs })) {
      entries.push({ offset: seq, bytes: data });
      // What was let go meanwhile does not come any more.
      if (info.pending === 0 || entries.length === count) break;
    }
    return entries;
  }

  #subject(channel: string): string {
    return `${this.#parts.prefix}.${tokenOf(channel)}`;
  }
}

/** Any text as a token of a subject, or of a stream's name. */
function tokenOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= nameBytesMax) return bytes.toString("base64url");
  return createHash("sha256").update(bytes).digest("base64url");
}

function epochOf({ created }: StreamInfo): string {
  return created.replace(/\W/g, "");
}

function finite(limit: number, otherwise = -1): number {
  return Number.isFinite(limit) ? limit : otherwise;
}
