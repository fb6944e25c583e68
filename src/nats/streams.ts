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
import type { EngineHistoryPage, EngineRoom, EngineTop, PublicationId } from "../cluster/engine.js";
import type { RoomPath } from "../wire/path.js";
import { epochAt, epochId, epochTime, offsetAfter, type Position } from "../wire/position.js";
import type { ConnectionLoss } from "./connectionLoss.js";
import {
  descriptionOf,
  epochOf,
  hasOldMessages,
  isBelow,
  type RoomStream,
  rangeOf,
  type StreamNotes,
  streamOf,
  topOf,
  withEpoch,
  withLost,
  withOldEpochs,
} from "./roomStream.js";
import { stackless } from "./stackless.js";
import { hasLimits, limitsOf, nanosPerMs } from "./streamLimits.js";
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
  /** Identifies this run of the server; `undefined` if the server keeps everything over a restart. */
  readonly life: string | undefined;
  readonly loss: ConnectionLoss;
  /** The subject of republished messages; nodes subscribe to it while they have the room open. */
  readonly subjectOf: (path: RoomPath) => string;
}

type Entries = EngineHistoryPage["entries"];

/** The maximum number of attempts to read a stream that is replaced meanwhile. */
const attemptsMax = 5;
/** Error codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const streamNotFound = 10_059;
const nameTaken = 10_058;
/** Milliseconds that a stream is kept after its last publication and after its room was last open. */
const unusedMs = 3_600_000;
/** Milliseconds after which an open room updates the time of last use in its stream. */
const touchMs = 1_800_000;
/** The maximum number of cached streams. */
const cachedStreamsMax = 10_000;
/** Milliseconds to fetch messages. A message that is removed meanwhile never arrives. */
const fetchMs = 1_000;
const nothing: EngineTop = { top: { epoch: "", offset: 0 }, epochs: [] };

/** The JetStream streams with the history of rooms, one per room, over one connection. */
export class RoomStreams {
  readonly #deps: RoomStreamsDeps;
  /** A cache of streams that exist. */
  readonly #streams = new Map<RoomPath, RoomStream>();
  /** The streams that are looked for or created, for publications. */
  readonly #pending = new Map<RoomPath, Promise<RoomStream>>();
  /** The last publication to each room that is not answered. */
  readonly #lastCalls = new Map<RoomPath, object>();

  constructor(deps: RoomStreamsDeps) {
    this.#deps = deps;
  }

  async append(room: EngineRoom, bytes: Uint8Array, id?: PublicationId, attempt = 1): Promise<Position> {
    const { path } = room;
    const call = {};
    this.#lastCalls.set(path, call);
    const known = this.#pending.has(path) ? undefined : this.#streams.get(path);
    try {
      return await this.#appendTo(known ?? (await this.#stream(room)), bytes, id);
    } catch (error) {
      // No stream listens to the subject: it was deleted or has a new epoch, and the publication was not kept.
      const isStale = hasNoResponders(error) || isNotFound(error);
      const isFirst = known !== undefined && this.#streams.get(path) === known;
      // Those behind the first one are refused, since later ones may have been sent.
      const canRepeat = attempt < attemptsMax && (isFirst || this.#lastCalls.get(path) === call);
      if (!isStale || !canRepeat) throw error;
      this.#streams.delete(path);
      return await this.append(room, bytes, id, attempt + 1);
    } finally {
      if (this.#lastCalls.get(path) === call) this.#lastCalls.delete(path);
    }
  }

  async read(room: EngineRoom, { since, limit, bytesMax }: HistoryQuery): Promise<EngineHistoryPage> {
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const stream = await this.#details(room);
      if (stream === undefined) return { ...nothing, entries: [] };
      const { top, epochs } = topOf(stream);
      const isFromStart = since?.epoch === "";
      const after = since && (isFromStart ? 0 : offsetAfter(since, epochs, top.offset));
      const [start, count] = rangeOf(stream, after, limit);
      const entries = count > 0 ? await this.#fetch(stream, start, count, bytesMax) : [];
      if (entries !== undefined) return { top, epochs, entries };
    }
    throw new Error(`the stream of ${room.path} was replaced ${attemptsMax} times while it was read`);
  }

  async top(room: EngineRoom): Promise<EngineTop> {
    const { path, seen } = room;
    const stream = await this.#details(room);
    if (stream === undefined) return nothing;
    const { info, notes } = stream;
    if (isBelow(stream, seen)) {
      const { last_seq: last } = info.state;
      return topOf(await this.#update(path, stream, withEpoch(stream, last, `ends at ${last}`, notes.life)));
    }
    // A room without publications must not look unused to tidy().
    if (this.#now() - notes.usedMs > touchMs) await this.#update(path, stream, { ...notes, usedMs: this.#now() });
    return topOf(stream);
  }

  async confirmLost(room: EngineRoom, epoch: string, lost: number): Promise<void> {
    const stream = await this.#details(room);
    const isOpen = stream?.notes.epochs.some((one) => one.epoch === epoch && one.lost === undefined);
    if (stream !== undefined && isOpen === true) await this.#update(room.path, stream, withLost(stream, epoch, lost));
  }

  async renumber(room: EngineRoom, { epoch, offset }: Position): Promise<void> {
    const stream = await this.#details(room);
    if (stream === undefined || epochOf(stream.subject) !== epoch) return;
    const base = Math.min(offset, stream.info.state.last_seq);
    await this.#update(room.path, stream, withEpoch(stream, base, `again after ${base}`, stream.notes.life));
  }

  /** Deletes the streams of rooms that have been closed and empty for an hour. */
  async tidy(): Promise<void> {
    const { manager } = this.#deps;
    for await (const info of manager.streams.list(`${this.#deps.prefix}.log.>`)) {
      if (!this.#isUnused(info)) continue;
      // Checks again, since the list may be outdated.
      if (this.#isUnused(await manager.streams.info(info.config.name))) await manager.streams.delete(info.config.name);
    }
  }

  async #appendTo({ subject, notes }: RoomStream, bytes: Uint8Array, id: PublicationId | undefined): Promise<Position> {
    const { client, loss } = this.#deps;
    const options = { retries: 0, ...(id && { msgID: id.id }) };
    const publishing = stackless(() => client.publish(subject, bytes, options));
    const { seq, duplicate } = await loss.unlessLost(publishing);
    return { epoch: duplicate ? epochAt(notes.epochs, seq) : epochOf(subject), offset: seq };
  }

  /** The stream of a room, created if it does not exist. All publications that wait for it go on in their order. */
  #stream(room: EngineRoom): Promise<RoomStream> {
    const { path } = room;
    const known = this.#pending.get(path);
    if (known !== undefined) return known;
    const pending = this.#findOrCreate(room);
    this.#pending.set(path, pending);
    // Later, when all that wait have gone on: a publication that does not wait would overtake them.
    const forget = () => void setImmediate(() => this.#pending.delete(path));
    pending.then(forget, forget);
    return pending;
  }

  async #findOrCreate(room: EngineRoom): Promise<RoomStream> {
    const stream = (await this.#find(room)) ?? (await this.#create(room));
    this.#keep(room.path, stream);
    return stream;
  }

  #keep(path: RoomPath, stream: RoomStream): void {
    this.#streams.set(path, stream);
    const [oldest] = this.#streams.keys();
    if (this.#streams.size > cachedStreamsMax && oldest !== undefined) this.#streams.delete(oldest);
  }

  async #create({ path, history }: EngineRoom): Promise<RoomStream> {
    const { prefix, storage, replicas, manager, subjectOf, life } = this.#deps;
    const token = tokenOf(path);
    const epoch = epochId(this.#now(), randomBytes(6).toString("base64url"));
    const subjects = `${prefix}.log.${token}`;
    const notes = { usedMs: this.#now(), life, epochs: [{ epoch, base: 0, lost: undefined }] };
    const config = {
      ...limitsOf(history),
      name: this.#nameOf(path),
      // Each epoch has its own subject. A node that does not know of the epoch yet cannot publish.
      subjects: [`${subjects}.${epoch}`],
      description: descriptionOf(path, notes),
      num_replicas: replicas,
      storage: storage === "file" ? StorageType.File : StorageType.Memory,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      republish: { src: `${subjects}.*`, dest: `${subjectOf(path)}.{{wildcard(1)}}` },
    };
    const info = await manager.streams.add(config).catch((error) => {
      if (!isNameTaken(error)) throw error;
      return manager.streams.info(config.name);
    });
    return this.#withOldEpochs(path, streamOf(info));
  }

  async #withOldEpochs(path: RoomPath, stream: RoomStream): Promise<RoomStream> {
    if (!hasOldMessages(stream)) return stream;
    const { name } = stream.info.config;
    const { state } = await this.#deps.manager.streams.info(name, { subjects_filter: ">" });
    return this.#update(path, stream, withOldEpochs(stream, state.subjects ?? {}));
  }

  /** A stream that exists; with a new epoch if the server has been restarted, and with the limits of the room. */
  async #find(room: EngineRoom): Promise<RoomStream | undefined> {
    const { path, history } = room;
    const { life, manager } = this.#deps;
    let stream: RoomStream;
    try {
      const found = streamOf(await manager.streams.info(this.#nameOf(path)));
      stream = await this.#withOldEpochs(path, found);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
    const { info, notes } = stream;
    // In a cluster, a server that restarts gets from the others what they have acknowledged.
    const isRestarted = life !== undefined && notes.life !== life && !info.cluster?.name;
    if (isRestarted) {
      // It may have lost the last publications, and would use their numbers again.
      return this.#update(path, stream, withEpoch(stream, info.state.last_seq, `served by ${life}`, life), history);
    }
    return hasLimits(info.config, history) ? stream : this.#update(path, stream, notes, history);
  }

  /** Changes the description of a stream, its current epoch, and its limits if `history` is given. */
  async #update(path: RoomPath, stream: RoomStream, notes: StreamNotes, history?: HistoryConfig): Promise<RoomStream> {
    const { manager, prefix } = this.#deps;
    const { config } = stream.info;
    const subject = `${prefix}.log.${tokenOf(path)}.${notes.epochs.at(-1)?.epoch}`;
    const changed: StreamConfig = { ...config, ...(history && limitsOf(history)), subjects: [subject] };
    const info = await manager.streams.update(config.name, { ...changed, description: descriptionOf(path, notes) });
    const updated = streamOf(info);
    this.#keep(path, updated);
    return updated;
  }

  /** The current state of a room's stream; `undefined` if there is none. */
  async #details(room: EngineRoom): Promise<RoomStream | undefined> {
    const stream = await this.#find(room);
    if (stream === undefined) this.#streams.delete(room.path);
    else this.#keep(room.path, stream);
    return stream;
  }

  /** Reads messages; `undefined` if the stream was replaced. */
  async #fetch(
    { info, notes }: RoomStream,
    start: number,
    count: number,
    bytesMax = Number.POSITIVE_INFINITY,
  ): Promise<Entries | undefined> {
    const { name } = info.config;
    const newest = epochTime(notes.epochs.at(-1)?.epoch ?? "") ?? 0;
    // A stream that was deleted and made again has a later epoch. The notes may lack earlier ones.
    const isFresh = (subject: string) => (epochTime(epochOf(subject)) ?? 0) <= newest;
    try {
      const consumer = await this.#deps.client.consumers.get(name, { opt_start_seq: start });
      try {
        const messages = await consumer.fetch(fetchOf(count));
        return await this.#deps.loss.unlessLost(readAll(messages, { name, count, bytesMax, isFresh }));
      } finally {
        // The server would also delete the consumer, but only after a while.
        consumer.delete().catch(() => undefined);
      }
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #isUnused(info: StreamInfo): boolean {
    const { config, state, created } = info;
    const lastMs = Math.max(Date.parse(created), Date.parse(state.last_ts), streamOf(info).notes.usedMs);
    const isForever = config.max_age === 0 && state.last_seq > 0;
    return state.messages === 0 && !isForever && this.#now() - lastMs > config.max_age / nanosPerMs + unusedMs;
  }

  #nameOf(path: RoomPath): string {
    return `${this.#deps.prefix}-room-${tokenOf(path)}`;
  }

  #now(): number {
    return (this.#deps.now ?? Date.now)();
  }
}

interface Reading {
  /** The name of the stream. */
  readonly name: string;
  readonly count: number;
  readonly bytesMax: number;
  /** Whether a message with this subject belongs to the stream as it was described before. */
  readonly isFresh: (subject: string) => boolean;
}

async function readAll(messages: ConsumerMessages, reading: Reading): Promise<Entries | undefined> {
  const { name, count, bytesMax, isFresh } = reading;
  const entries: { offset: number; bytes: Uint8Array }[] = [];
  let bytes = 0;
  for await (const { seq, subject, data, info } of messages) {
    bytes += data.length;
    if (entries.length === 0 && !isFresh(subject)) return undefined;
    if (bytes > bytesMax && entries.length > 0) return entries;
    entries.push({ offset: seq, bytes: data });
    // Messages that were removed meanwhile do not arrive.
    if (info.pending === 0 || entries.length === count) return entries;
  }
  // On a slow connection, a page may end before its time is over.
  if (entries.length > 0 && Number.isFinite(bytesMax)) return entries;
  throw new Error(`the stream ${name} delivered only ${entries.length} of ${count} publications`);
}

function fetchOf(count: number): { readonly max_messages: number; readonly expires: number } {
  return { max_messages: count, expires: fetchMs };
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
