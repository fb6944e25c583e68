import { randomBytes } from "node:crypto";
import {
  type ConsumerMessages,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { NoRespondersError } from "@nats-io/transport-node";
import type { HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import type { EngineHistoryPage, EngineRoom } from "../cluster/engine.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { tokenOf } from "./subjects.js";

export interface RoomStreamsDeps {
  /** Before every subject, and every name of a stream. */
  readonly prefix: string;
  readonly storage: "file" | "memory";
  readonly replicas: number;
  /** Milliseconds since 1970, as the server's own. Default: the system's. */
  readonly now?: (() => number) | undefined;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  /** Rejected when the connection is lost. */
  readonly lost: Promise<never>;
  /** Where a room is heard. */
  readonly subjectOf: (path: RoomPath) => string;
}

interface Stream {
  readonly name: string;
  readonly subject: string;
  readonly epoch: string;
}

interface Look extends Stream, Pick<StreamInfo, "state" | "config"> {}

type Entries = EngineHistoryPage["entries"];

/** Times that a stream may be another one by the time it is looked at. */
const attemptsMax = 5;
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
/** Rooms whose stream is remembered; of others it is looked up anew. */
const roomsMax = 10_000;
/** Milliseconds for what was let go of while it was read: it is asked for, and does not come. */
const fetchMs = 1_000;

/** The streams of JetStream in which rooms are kept, one for each, as one connection knows them. */
export class RoomStreams {
  readonly #deps: RoomStreamsDeps;
  /** Once they are known to be there. */
  readonly #rooms = new Map<RoomPath, Promise<Stream>>();

  constructor(deps: RoomStreamsDeps) {
    this.#deps = deps;
  }

  async append(path: RoomPath, bytes: Uint8Array, history: HistoryConfig): Promise<Position> {
    const known = this.#rooms.get(path);
    try {
      return await this.#appendTo(await this.#stream(path, history), bytes);
    } catch (error) {
      // Nobody listens to its subject: somebody deleted the stream, or made it anew, and nothing was kept.
      if (known === undefined || !(isUnheard(error) || isNotFound(error))) throw error;
      if (this.#rooms.get(path) === known) this.#rooms.delete(path);
      return this.#appendTo(await this.#stream(path, history), bytes);
    }
  }

  async read(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<EngineHistoryPage> {
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const stream = await this.#look(path, history);
      const [start, count] = rangeOf(stream, query);
      const entries = count > 0 ? await this.#fetch(stream, start, count) : [];
      if (entries !== undefined) return { top: topOf(stream), base: 0, entries };
    }
    throw new Error(`the stream of ${path} was made anew ${attemptsMax} times while it was read`);
  }

  async top({ path, history }: EngineRoom): Promise<Position> {
    const look = await this.#look(path, history);
    const now = this.#now();
    // So that others know that the room is open, however quiet it may be.
    if (now - usedAt(look.config) > touchMs) {
      await this.#deps.manager.streams.update(look.name, { description: descriptionOf(path, now) });
    }
    return topOf(look);
  }

  /** Deletes streams of rooms that nobody has open and in which nothing is kept, when that is so for an hour. */
  async tidy(): Promise<void> {
    const { manager } = this.#deps;
    for await (const info of manager.streams.list(`${this.#deps.prefix}.kept.>`)) {
      if (!this.#isUnused(info)) continue;
      // The list may be old by now.
      if (this.#isUnused(await manager.streams.info(info.config.name))) await manager.streams.delete(info.config.name);
    }
  }

  async #appendTo({ subject, epoch }: Stream, bytes: Uint8Array): Promise<Position> {
    const publishing = this.#deps.client.publish(subject, bytes, { retries: 0 });
    const { seq } = await Promise.race([publishing, this.#deps.lost]);
    return { epoch, offset: seq };
  }

  /** The stream of a room, made if need be. */
  #stream(path: RoomPath, history: HistoryConfig): Promise<Stream> {
    const known = this.#rooms.get(path);
    if (known !== undefined) return known;
    const making = this.#make(path, history);
    this.#rooms.set(path, making);
    const [oldest] = this.#rooms.keys();
    if (this.#rooms.size > roomsMax && oldest !== undefined) this.#rooms.delete(oldest);
    making.catch(() => {
      if (this.#rooms.get(path) === making) this.#rooms.delete(path);
    });
    return making;
  }

  async #make(path: RoomPath, history: HistoryConfig): Promise<Stream> {
    const { prefix, storage, replicas, manager, subjectOf } = this.#deps;
    const token = tokenOf(path);
    const name = `${prefix}-${token}`;
    // A stream that is made anew has another subject: who publishes to the old one is told, and numbers begin anew for all.
    const subject = `${prefix}.kept.${token}.${randomBytes(9).toString("base64url")}`;
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
        ...{ discard: DiscardPolicy.Old, republish: { src: subject, dest: subjectOf(path) } },
      })
      .catch((error) => {
        if (!isTaken(error)) throw error;
        return this.#adopt(name, terms);
      });
    return streamOf(info);
  }

  /** The stream that is there already, with these terms: the newest word counts. */
  async #adopt(name: string, terms: Partial<StreamConfig>): Promise<StreamInfo> {
    const { manager } = this.#deps;
    const info = await manager.streams.info(name);
    const isSame = Object.entries(terms).every(([term, value]) =>
      Object.entries(info.config).some(([key, has]) => key === term && has === value),
    );
    return isSame ? info : manager.streams.update(name, { ...info.config, ...terms });
  }

  /** The stream of a room as it is now. */
  async #look(path: RoomPath, history: HistoryConfig): Promise<Look> {
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const { name } = await this.#stream(path, history);
      try {
        const info = await this.#deps.manager.streams.info(name);
        const stream = streamOf(info);
        this.#rooms.set(path, Promise.resolve(stream));
        return { ...stream, state: info.state, config: info.config };
      } catch (error) {
        if (!isNotFound(error)) throw error;
        // Somebody deleted it.
        this.#rooms.delete(path);
      }
    }
    throw new Error(`the stream of ${path} was deleted ${attemptsMax} times while it was looked at`);
  }

  /** `undefined` when it is another stream by now. */
  async #fetch(stream: Stream, start: number, count: number): Promise<Entries | undefined> {
    try {
      const consumer = await this.#deps.client.consumers.get(stream.name, { opt_start_seq: start });
      try {
        return await Promise.race([readAll(await consumer.fetch(fetchOf(count)), stream, count), this.#deps.lost]);
      } finally {
        // It would go by itself, but only after a while.
        consumer.delete().catch(() => undefined);
      }
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #isUnused({ config, state, created }: StreamInfo): boolean {
    const lastMs = Math.max(Date.parse(created), Date.parse(state.last_ts), usedAt(config));
    const isForever = config.max_age === 0 && state.last_seq > 0;
    return state.messages === 0 && !isForever && this.#now() - lastMs > config.max_age / nanosPerMs + restMs;
  }

  #now(): number {
    return (this.#deps.now ?? Date.now)();
  }
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
function rangeOf({ epoch, state }: Look, { since, limit }: HistoryQuery): readonly [start: number, count: number] {
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
export function epochOf(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}

/** Whether nobody took it: there is no such stream, or no JetStream. */
export function isUnheard(error: unknown): boolean {
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
