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
  /** The start of every subject and stream name. */
  readonly prefix: string;
  readonly storage: "file" | "memory";
  readonly replicas: number;
  /** The current time in milliseconds since 1970, compared with timestamps of the server. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>;
  /** The subject that nodes subscribe to while they have the room open. */
  readonly subjectOf: (path: RoomPath) => string;
}

interface Stream {
  readonly name: string;
  readonly subject: string;
  readonly epoch: string;
}

interface StreamDetails extends Stream, Pick<StreamInfo, "state" | "config"> {}

type Entries = EngineHistoryPage["entries"];

/** The maximum number of attempts to read a stream that is replaced meanwhile. */
const attemptsMax = 5;
/** Error codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const streamNotFound = 10_059;
const nameTaken = 10_058;
const nanosPerMs = 1_000_000;
/** The minimum that the server accepts. Without message ids it detects no duplicates. */
const duplicateMs = 100;
/** Ages above this, about a hundred years, have no limit. */
const ageMsForever = 3e12;
/** Milliseconds that a stream is kept after its last publication and after its room was last open. */
const unusedMs = 3_600_000;
/** Milliseconds after which an open room updates the time of last use in its stream. */
const touchMs = 1_800_000;
/** The maximum number of cached streams. */
const cachedStreamsMax = 10_000;
/** Milliseconds to fetch messages. A message that is removed meanwhile never arrives. */
const fetchMs = 1_000;

/** The JetStream streams with the history of rooms, one per room, over one connection. */
export class RoomStreams {
  readonly #deps: RoomStreamsDeps;
  /** A cache of streams that exist, or are being created. */
  readonly #streams = new Map<RoomPath, Promise<Stream>>();

  constructor(deps: RoomStreamsDeps) {
    this.#deps = deps;
  }

  async append(path: RoomPath, bytes: Uint8Array, history: HistoryConfig): Promise<Position> {
    const known = this.#streams.get(path);
    try {
      return await this.#appendTo(await this.#stream(path, history), bytes);
    } catch (error) {
      // No stream listens to the subject: it was deleted or replaced, and the publication was not kept.
      if (known === undefined || !(hasNoResponders(error) || isNotFound(error))) throw error;
      if (this.#streams.get(path) === known) this.#streams.delete(path);
      return this.#appendTo(await this.#stream(path, history), bytes);
    }
  }

  async read(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<EngineHistoryPage> {
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const stream = await this.#details(path, history);
      const [start, count] = rangeOf(stream, query);
      const entries = count > 0 ? await this.#fetch(stream, start, count) : [];
      if (entries !== undefined)
        return { top: topOf(stream), epochs: [{ epoch: stream.epoch, base: 0, lost: undefined }], entries };
    }
    throw new Error(`the stream of ${path} was replaced ${attemptsMax} times while it was read`);
  }

  async top({ path, history }: EngineRoom): Promise<Position> {
    const details = await this.#details(path, history);
    const now = this.#now();
    // A room without publications must not look unused to tidy().
    if (now - usedAt(details.config) > touchMs) {
      await this.#deps.manager.streams.update(details.name, { description: descriptionOf(path, now) });
    }
    return topOf(details);
  }

  /** Deletes the streams of rooms that have been closed and empty for an hour. */
  async tidy(): Promise<void> {
    const { manager } = this.#deps;
    for await (const info of manager.streams.list(`${this.#deps.prefix}.kept.>`)) {
      if (!this.#isUnused(info)) continue;
      // Checks again, since the list may be outdated.
      if (this.#isUnused(await manager.streams.info(info.config.name))) await manager.streams.delete(info.config.name);
    }
  }

  async #appendTo({ subject, epoch }: Stream, bytes: Uint8Array): Promise<Position> {
    const publishing = this.#deps.client.publish(subject, bytes, { retries: 0 });
    const { seq } = await Promise.race([publishing, this.#deps.lost]);
    return { epoch, offset: seq };
  }

  /** The stream of a room, created if it does not exist. */
  #stream(path: RoomPath, history: HistoryConfig): Promise<Stream> {
    const known = this.#streams.get(path);
    if (known !== undefined) return known;
    const creating = this.#create(path, history);
    this.#streams.set(path, creating);
    const [oldest] = this.#streams.keys();
    if (this.#streams.size > cachedStreamsMax && oldest !== undefined) this.#streams.delete(oldest);
    creating.catch(() => {
      if (this.#streams.get(path) === creating) this.#streams.delete(path);
    });
    return creating;
  }

  async #create(path: RoomPath, history: HistoryConfig): Promise<Stream> {
    const { prefix, storage, replicas, manager, subjectOf } = this.#deps;
    const token = tokenOf(path);
    const name = `${prefix}-${token}`;
    // Each stream has a new subject. Publishing to a deleted stream then fails, and all nodes see the new numbering.
    const subject = `${prefix}.kept.${token}.${randomBytes(9).toString("base64url")}`;
    const { size, bytesMax, ageMsMax } = history;
    const limits = {
      max_msgs: wholeOf(size),
      max_bytes: wholeOf(bytesMax),
      max_age: nanosOf(ageMsMax),
      duplicate_window: nanosOf(Math.min(ageMsMax, duplicateMs)),
    };
    const info = await manager.streams
      .add({
        ...limits,
        name,
        subjects: [subject],
        description: descriptionOf(path, this.#now()),
        num_replicas: replicas,
        storage: storage === "file" ? StorageType.File : StorageType.Memory,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
        republish: { src: subject, dest: subjectOf(path) },
      })
      .catch((error) => {
        if (!isNameTaken(error)) throw error;
        return this.#adopt(name, limits);
      });
    return streamOf(info);
  }

  /** Uses a stream that exists already, and updates its limits if they differ. */
  async #adopt(name: string, limits: Partial<StreamConfig>): Promise<StreamInfo> {
    const { manager } = this.#deps;
    const info = await manager.streams.info(name);
    const isSame = Object.entries(limits).every(([limit, value]) =>
      Object.entries(info.config).some(([key, current]) => key === limit && current === value),
    );
    return isSame ? info : manager.streams.update(name, { ...info.config, ...limits });
  }

  /** The current state of a room's stream. */
  async #details(path: RoomPath, history: HistoryConfig): Promise<StreamDetails> {
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const { name } = await this.#stream(path, history);
      try {
        const info = await this.#deps.manager.streams.info(name);
        const stream = streamOf(info);
        this.#streams.set(path, Promise.resolve(stream));
        return { ...stream, state: info.state, config: info.config };
      } catch (error) {
        if (!isNotFound(error)) throw error;
        // The stream was deleted.
        this.#streams.delete(path);
      }
    }
    throw new Error(`the stream of ${path} was deleted ${attemptsMax} times while it was read`);
  }

  /** Reads messages; `undefined` if the stream was replaced. */
  async #fetch(stream: Stream, start: number, count: number): Promise<Entries | undefined> {
    try {
      const consumer = await this.#deps.client.consumers.get(stream.name, { opt_start_seq: start });
      try {
        return await Promise.race([readAll(await consumer.fetch(fetchOf(count)), stream, count), this.#deps.lost]);
      } finally {
        // The server would also delete the consumer, but only after a while.
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
    return state.messages === 0 && !isForever && this.#now() - lastMs > config.max_age / nanosPerMs + unusedMs;
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
    // Messages that were removed meanwhile do not arrive.
    if (info.pending === 0 || entries.length === count) return entries;
  }
  throw new Error(`the stream ${stream.name} delivered only ${entries.length} of ${count} publications`);
}

function fetchOf(count: number): { readonly max_messages: number; readonly expires: number } {
  return { max_messages: count, expires: fetchMs };
}

/** The description of a stream: when its room was last open, and the path of the room. */
function descriptionOf(path: RoomPath, now: number): string {
  return `${new Date(now).toISOString()} in use: ${path}`;
}

function usedAt({ description = "" }: Pick<StreamConfig, "description">): number {
  const [time = ""] = description.split(" ", 1);
  return Date.parse(time) || 0;
}

function topOf({ epoch, state }: StreamDetails): Position {
  return { epoch, offset: state.last_seq };
}

/** The first sequence number to read, and how many. */
function rangeOf(
  { epoch, state }: StreamDetails,
  { since, limit }: HistoryQuery,
): readonly [start: number, count: number] {
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

/** The last token of a stream's subject. */
export function epochOf(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}

/** Whether an error means that the stream, or JetStream, does not exist. */
export function hasNoResponders(error: unknown): boolean {
  if (error instanceof NoRespondersError) return true;
  return error instanceof Error && hasNoResponders(error.cause);
}

function isNotFound(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === streamNotFound;
}

function isNameTaken(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === nameTaken;
}

/** A limit as an integer; -1 means no limit. */
function wholeOf(limit: number): number {
  return Number.isFinite(limit) ? Math.floor(limit) : -1;
}

/** Nanoseconds; 0 means no limit. The server accepts at least 100 ms and at most 64 bits. */
function nanosOf(ms: number): number {
  return ms > ageMsForever ? 0 : Math.round(Math.max(ms, 100)) * nanosPerMs;
}
