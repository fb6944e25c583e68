import { createHash, randomBytes } from "node:crypto";
import {
  type ConsumerMessages,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  JetStreamError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import {
  InvalidArgumentError,
  type Msg,
  type NatsConnection,
  NoRespondersError,
  type Subscription,
} from "@nats-io/transport-node";
import type { HistoryTerms, KeptQuery } from "../backplane/backplane.js";
import type { Engine, EngineEvents, KeptBytes, KeptRoom } from "../backplane/engine.js";
import { deferred } from "../connection/clock.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { Lanes } from "./lanes.js";

export interface NatsEngineParts {
  /** Before every subject, and every name of a stream. */
  readonly prefix: string;
  readonly storage: "file" | "memory";
  readonly replicas: number;
  /** Milliseconds since 1970, as the server's own. Default: the system's. */
  readonly now?: () => number;
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
  /** What is under way to rooms with history. */
  readonly lanes: Lanes;
  /** Whatever was published before it resolves has reached the server. */
  flushing: Promise<void> | undefined;
  /** Rejected when the connection is lost, or let go of. */
  readonly lost: Promise<never>;
  readonly lose: (reason: Error) => void;
}

interface Stream {
  readonly name: string;
  readonly subject: string;
  readonly epoch: string;
}

interface Look extends Stream, Pick<StreamInfo, "state" | "config"> {}

type Entries = KeptBytes["entries"];

/** Times that a stream may be another one by the time it is looked at. */
const attemptsMax = 5;
/** What republished messages bear: https://docs.nats.io/nats-concepts/jetstream/streams#republish */
const sequenceHeader = "Nats-Sequence";
const subjectHeader = "Nats-Subject";
/** Codes of errors: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const streamNotFound = 10_059;
const nameTaken = 10_058;
const nanosPerMs = 1_000_000;
/** The least that a server takes: nothing is published twice here under one id. */
const duplicateMs = 100;
/** Longer than this, about a hundred years, is for ever. */
const ageMsForever = 3e12;
/** Milliseconds that a stream outlives what is kept in it, and the last time that somebody had the room open. */
const restMs = 3_600_000;
/** Milliseconds after which it is noted again that somebody has. */
const touchMs = 1_800_000;
/** Milliseconds for what was let go of while it was read: it is asked for, and does not come. */
const fetchMs = 1_000;
/** Milliseconds for a server to take leave. */
const closeMs = 500;
/** Names of subjects that are held. */
const subjectsMax = 1_000;
/** Names that are longer are hashed; a subject has to fit a line of the protocol. */
const nameBytesMax = 96;

const refusals = [JetStreamError, JetStreamApiError, InvalidArgumentError];

/** NATS: core subjects, and for each room with history a stream of JetStream, whose sequence is the offset. */
export class NatsEngine implements Engine {
  readonly name = "nats";
  /** Each is a message of its own in its stream. */
  readonly appendMax = 1;
  readonly #parts: NatsEngineParts;
  #events: EngineEvents | undefined;
  #session: Session | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  readonly #subjects = new Map<string, string>();

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
        else if (this.#session === session) this.#events?.failed(error);
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

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    const session = this.#connected;
    const publish = () => {
      session.connection.publish(this.#subject(channel), bytes);
      return this.#flushed(session);
    };
    // What is kept goes another way, and must not be overtaken.
    return session.lanes.isBusy(channel) ? session.lanes.alone(channel, publish) : publish();
  }

  async append({ path, history }: KeptRoom, publications: readonly Uint8Array[]): Promise<Position> {
    const session = this.#connected;
    const [bytes] = publications;
    if (bytes === undefined) throw new Error("there is nothing to append");
    return session.lanes.beside(path, () => this.#append(session, path, bytes, history));
  }

  async read(path: RoomPath, query: KeptQuery, history: HistoryTerms): Promise<KeptBytes> {
    const session = this.#connected;
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const stream = await this.#look(session, path, history);
      const [start, count] = rangeOf(stream, query);
      const entries = count > 0 ? await this.#fetch(session, stream, start, count) : [];
      if (entries !== undefined) return { top: topOf(stream), base: 0, entries };
    }
    throw new Error(`the stream of ${path} was made anew ${attemptsMax} times while it was read`);
  }

  async top({ path, history }: KeptRoom): Promise<Position> {
    const session = this.#connected;
    const look = await this.#look(session, path, history);
    const now = this.#now();
    // So that others know that the room is open, however quiet it may be.
    if (now - usedAt(look.config) > touchMs) {
      await session.manager.streams.update(look.name, { description: descriptionOf(path, now) });
    }
    return topOf(look);
  }

  refuses(error: Error): boolean {
    return isUnheard(error) || refusals.some((kind) => error instanceof kind);
  }

  /** Deletes streams of rooms that nobody has open and in which nothing is kept, when that is so for an hour. */
  async tidy(): Promise<void> {
    const { manager } = this.#connected;
    for await (const info of manager.streams.list(`${this.#parts.prefix}.kept.>`)) {
      if (!this.#isUnused(info)) continue;
      // The list may be old by now.
      if (this.#isUnused(await manager.streams.info(info.config.name))) await manager.streams.delete(info.config.name);
    }
  }

  #isUnused({ config, state, created }: StreamInfo): boolean {
    const lastMs = Math.max(Date.parse(created), Date.parse(state.last_ts), usedAt(config));
    const isForever = config.max_age === 0 && state.last_seq > 0;
    return state.messages === 0 && !isForever && this.#now() - lastMs > config.max_age / nanosPerMs + restMs;
  }

  #now(): number {
    return (this.#parts.now ?? Date.now)();
  }

  async stop(): Promise<void> {
    this.#events = undefined;
    clearTimeout(this.#retry);
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    // What was published has left when the server answers; one that does not is not waited for.
    await Promise.race([session.connection.flush(), session.lost, pause(closeMs)]).catch(() => undefined);
    session.lose(new Error("the app was closed"));
    await Promise.race([session.connection.close(), pause(closeMs)]);
  }

  get #connected(): Session {
    if (this.#session !== undefined) return this.#session;
    throw new Error("not connected");
  }

  #connect(): void {
    this.#open().catch((error) => {
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
    // Without a look whether the server has JetStream: rooms without history need none.
    const manager = await jetstreamManager(connection, { checkAPI: false });
    if (this.#events === undefined) return connection.close();
    const { promise: lost, reject: lose } = deferred<never>();
    // Whoever waits for something else is told by that.
    lost.catch(() => undefined);
    const maps = { subscriptions: new Map(), rooms: new Map(), lanes: new Lanes() };
    const streams = jetstream(connection);
    const session: Session = { connection, streams, manager, ...maps, flushing: undefined, lost, lose };
    this.#session = session;
    connection.closed().then(
      (reason) => this.#lose(session, reason ?? new Error("the connection was closed")),
      (error) => this.#lose(session, asError(error)),
    );
    this.#attempts = 0;
    this.#events.up();
  }

  #lose(session: Session, reason: Error): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    session.lose(reason);
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
    const epoch = epochOf(message.headers?.get(subjectHeader) ?? "");
    const isPosition = /^[\w-]{1,64}$/.test(epoch) && /^\d{1,16}$/.test(sequence);
    if (isPosition) this.#events?.message(channel, message.data, { epoch, offset: Number(sequence) });
    else this.#events?.malformed(channel);
  }

  /** One round trip for all that is published in the same turn of the loop. */
  #flushed(session: Session): Promise<void> {
    session.flushing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        session.flushing = undefined;
        Promise.race([session.connection.flush(), session.lost]).then(resolve, reject);
      });
    });
    return session.flushing;
  }

  async #append(session: Session, path: RoomPath, bytes: Uint8Array, history: HistoryTerms): Promise<Position> {
    const known = session.rooms.get(path);
    try {
      return await this.#appendTo(session, await this.#stream(session, path, history), bytes);
    } catch (error) {
      // Nobody listens to its subject: somebody deleted the stream, or made it anew, and nothing was kept.
      if (known === undefined || !(isUnheard(error) || isNotFound(error))) throw error;
      if (session.rooms.get(path) === known) session.rooms.delete(path);
      return this.#appendTo(session, await this.#stream(session, path, history), bytes);
    }
  }

  async #appendTo(session: Session, { subject, epoch }: Stream, bytes: Uint8Array): Promise<Position> {
    const publishing = session.streams.publish(subject, bytes, { retries: 0 });
    const { seq } = await Promise.race([publishing, session.lost]);
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
    const name = `${prefix}-${token}`;
    // A stream that is made anew has another subject: who publishes to the old one is told, and numbers begin anew for all.
    const subject = `${prefix}.kept.${token}.${randomBytes(9).toString("base64url")}`;
    const { manager } = session;
    const { size, bytesMax, ageMsMax } = history;
    const terms = {
      max_msgs: wholeOf(size),
      max_bytes: wholeOf(bytesMax),
      max_age: nanosOf(ageMsMax),
      duplicate_window: nanosOf(Math.min(ageMsMax, duplicateMs)),
    };
    const info = await manager.streams
      .add({
        ...{
          name,
          subjects: [subject],
          description: descriptionOf(path, this.#now()),
          num_replicas: replicas,
          ...terms,
        },
        ...{ storage: storage === "file" ? StorageType.File : StorageType.Memory, retention: RetentionPolicy.Limits },
        ...{ discard: DiscardPolicy.Old, republish: { src: subject, dest: this.#subject(path) } },
      })
      .catch((error) => {
        if (!isTaken(error)) throw error;
        return this.#adopt(session, name, terms);
      });
    return streamOf(info);
  }

  /** The stream that is there already, with these terms: the newest word counts. */
  async #adopt({ manager }: Session, name: string, terms: Partial<StreamConfig>): Promise<StreamInfo> {
    const info = await manager.streams.info(name);
    const isSame = Object.entries(terms).every(([term, value]) =>
      Object.entries(info.config).some(([key, has]) => key === term && has === value),
    );
    return isSame ? info : manager.streams.update(name, { ...info.config, ...terms });
  }

  /** The stream of a room as it is now. */
  async #look(session: Session, path: RoomPath, history: HistoryTerms): Promise<Look> {
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const { name } = await this.#stream(session, path, history);
      try {
        const info = await session.manager.streams.info(name);
        const stream = streamOf(info);
        session.rooms.set(path, Promise.resolve(stream));
        return { ...stream, state: info.state, config: info.config };
      } catch (error) {
        if (!isNotFound(error)) throw error;
        // Somebody deleted it.
        session.rooms.delete(path);
      }
    }
    throw new Error(`the stream of ${path} was deleted ${attemptsMax} times while it was looked at`);
  }

  /** `undefined` when it is another stream by now. */
  async #fetch(session: Session, stream: Stream, start: number, count: number): Promise<Entries | undefined> {
    try {
      const consumer = await session.streams.consumers.get(stream.name, { opt_start_seq: start });
      try {
        return await Promise.race([readAll(await consumer.fetch(fetchOf(count)), stream, count), session.lost]);
      } finally {
        // It would go by itself, but only after a while.
        consumer.delete().catch(() => undefined);
      }
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #subject(channel: string): string {
    const known = this.#subjects.get(channel);
    if (known !== undefined) return known;
    // Of many channels, only a few are busy.
    if (this.#subjects.size >= subjectsMax) this.#subjects.clear();
    const subject = `${this.#parts.prefix}.${tokenOf(channel)}`;
    this.#subjects.set(channel, subject);
    return subject;
  }
}

/** Any text as a token of a subject, or of a stream's name. */
function tokenOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= nameBytesMax) return bytes.toString("base64url");
  return createHash("sha256").update(bytes).digest("base64url");
}

async function readAll(messages: ConsumerMessages, stream: Stream, count: number): Promise<Entries | undefined> {
  const entries: { offset: number; bytes: Uint8Array }[] = [];
  for await (const { seq, subject, data, info } of messages) {
    if (subject !== stream.subject) return undefined;
    entries.push({ offset: seq, bytes: data });
    // What was let go meanwhile does not come any more.
    if (info.pending === 0 || entries.length === count) return entries;
  }
  throw new Error(`only ${entries.length} of ${count} publications came`);
}

function fetchOf(count: number): { readonly max_messages: number; readonly expires: number } {
  return { max_messages: count, expires: fetchMs };
}

/** Says for which room a stream is, and when somebody had it open. */
function descriptionOf(path: RoomPath, now: number): string {
  return `${new Date(now).toISOString()} in use: ${path}`;
}

function usedAt({ description = "" }: Pick<StreamConfig, "description">): number {
  const [time = ""] = description.split(" ", 1);
  return Date.parse(time) || 0;
}

function topOf({ epoch, state }: Look): Position {
  return { epoch, offset: state.last_seq };
}

/** Where what is asked for begins in a stream, and how many there are. */
function rangeOf({ epoch, state }: Look, { since, limit }: KeptQuery): readonly [start: number, count: number] {
  const { first_seq: first, last_seq: last, messages } = state;
  const isKnown = since !== undefined && since.epoch === epoch && since.offset <= last;
  const from = since === undefined ? last - limit + 1 : isKnown ? since.offset + 1 : first;
  const start = Math.max(first, 1, from);
  return [start, messages === 0 ? 0 : Math.min(limit, last - start + 1)];
}

function streamOf({ config }: StreamInfo): Stream {
  const [subject = ""] = config.subjects;
  return { name: config.name, subject, epoch: epochOf(subject) };
}

/** The last token of a subject of what is kept. */
function epochOf(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}

/** Whether nobody took it: there is no such stream, or no JetStream. */
function isUnheard(error: unknown): boolean {
  if (error instanceof NoRespondersError) return true;
  return error instanceof Error && isUnheard(error.cause);
}

function isNotFound(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === streamNotFound;
}

function isTaken(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === nameTaken;
}

/** -1: no limit. */
function wholeOf(limit: number): number {
  return Number.isFinite(limit) ? Math.floor(limit) : -1;
}

/** 0: for ever; a server takes no less than 100 ms, and no more than 64 bits hold. */
function nanosOf(ms: number): number {
  return ms > ageMsForever ? 0 : Math.round(Math.max(ms, 100)) * nanosPerMs;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
