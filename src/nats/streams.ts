import { randomBytes } from "node:crypto";
import type { JetStreamClient, JetStreamManager, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { HistoryQuery } from "../backplane/backplane.js";
import type { EngineHistoryPage, EngineRoom, EngineTop, PublicationId } from "../cluster/engine.js";
import type { RoomPath } from "../wire/path.js";
import { epochAt, epochId, epochTime, offsetAfter, type Position } from "../wire/position.js";
import { hasNoResponders, isApiError } from "./apiErrors.js";
import type { ConnectionLoss } from "./connectionLoss.js";
import { fetchEntries } from "./fetchEntries.js";
import {
  descriptionOf,
  epochOf,
  hasOldMessages,
  isBelow,
  type RoomStream,
  rangeOf,
  streamOf,
  topOf,
  withEpoch,
  withLost,
  withNotes,
  withOldEpochs,
} from "./roomStream.js";
import { stackless } from "./stackless.js";
import { hasLimits, keepingOf, limitsOf, nanosPerMs } from "./streamLimits.js";
import { StreamLocks } from "./streamLocks.js";
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
  /** Identifies this run of a single server, as `life`, also if it keeps all; `undefined` in a cluster of servers. */
  readonly serverRun: string | undefined;
  readonly loss: ConnectionLoss;
  /** The subject of republished messages; nodes subscribe to it while they have the room open. */
  readonly subjectOf: (path: RoomPath) => string;
}

/** Returns a stream with other notes, or the stream itself if nothing is to be changed. */
type Change = (stream: RoomStream) => RoomStream;
const unchanged: Change = (stream) => stream;

interface Settling {
  readonly change?: Change | undefined;
  /** Whether a stream that does not exist is created. */
  readonly mayCreate?: boolean;
}

interface LookedAt {
  readonly found: RoomStream;
  /** What it has to become. */
  readonly changed: RoomStream;
  readonly isDone: boolean;
}

/** The maximum number of attempts to read a stream that is replaced meanwhile. */
const attemptsMax = 5;
/** The maximum number of attempts to change a stream that other nodes change: more than one of them can take. */
const changesMax = 1_000;
/** Milliseconds that a stream is kept after its last publication and after its room was last open. */
const unusedMs = 3_600_000;
/** Milliseconds after which an open room updates the time of last use in its stream. */
const touchMs = 1_800_000;
/** The maximum number of cached streams. */
const cachedStreamsMax = 10_000;
const nothing: EngineTop = { top: { epoch: "", offset: 0 }, epochs: [] };

/** The JetStream streams with the history of rooms, one per room, over one connection. */
export class RoomStreams {
  readonly #deps: RoomStreamsDeps;
  readonly #locks: StreamLocks;
  /** A cache of streams that exist. */
  readonly #streams = new Map<RoomPath, RoomStream>();
  /** The streams that are looked for or created, for publications. */
  readonly #pending = new Map<RoomPath, Promise<RoomStream>>();
  /** The last publication to each room that is not answered. */
  readonly #lastCalls = new Map<RoomPath, object>();

  constructor(deps: RoomStreamsDeps) {
    this.#deps = deps;
    this.#locks = new StreamLocks(deps);
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
      const isStale = hasNoResponders(error) || isApiError(error, "streamNotFound");
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
    const stream = await this.#details(room, (now) => {
      // A room without publications must not look unused to tidy().
      const isFresh = this.#now() - now.notes.usedMs <= touchMs;
      return isFresh ? now : withNotes(now, { ...now.notes, usedMs: this.#now() });
    });
    return stream === undefined ? nothing : topOf(stream);
  }

  async confirmLost(room: EngineRoom, epoch: string, lost: number): Promise<void> {
    await this.#details(room, (stream) => withLost(stream, epoch, lost));
  }

  async renumber(room: EngineRoom, { epoch, offset }: Position): Promise<void> {
    await this.#details(room, (stream) => {
      if (epochOf(stream.subject) !== epoch) return stream;
      return withEpoch(stream, Math.min(offset, stream.info.state.last_seq));
    });
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
    const stream = await this.#settle(room, { mayCreate: true });
    if (stream === undefined) throw new Error(`the stream of ${room.path} was deleted while it was created`);
    this.#keep(room.path, stream);
    return stream;
  }

  #keep(path: RoomPath, stream: RoomStream): void {
    this.#streams.set(path, stream);
    const [oldest] = this.#streams.keys();
    if (this.#streams.size > cachedStreamsMax && oldest !== undefined) this.#streams.delete(oldest);
  }

  async #create({ path, history }: EngineRoom): Promise<void> {
    const { prefix, storage, replicas, manager, subjectOf, life } = this.#deps;
    const token = tokenOf(path);
    const epoch = epochId(this.#now(), randomBytes(6).toString("base64url"));
    const subjects = `${prefix}.log.${token}`;
    const notes = { usedMs: this.#now(), life, epochs: [{ epoch, base: 0, lost: undefined }] };
    const config = {
      ...limitsOf(history),
      ...keepingOf(storage, replicas),
      name: this.#nameOf(path),
      // Each epoch has its own subject. A node that does not know of the epoch yet cannot publish.
      subjects: [`${subjects}.${epoch}`],
      description: descriptionOf(path, notes),
      republish: { src: `${subjects}.*`, dest: `${subjectOf(path)}.{{wildcard(1)}}` },
    };
    await manager.streams.add(config).catch((error) => {
      // A node whose lock has ended has created it meanwhile.
      if (!isApiError(error, "nameTaken", "subjectsTaken")) throw error;
    });
  }

  /**
   * Reads a stream after the changes that it needs: those of `change`, those after a loss, and the limits of its room.
   * Resolves with `undefined` if there is none.
   */
  async #settle(room: EngineRoom, { change = unchanged, mayCreate = false }: Settling = {}) {
    const look = async () => {
      const stream = await this.#look(room, change);
      return { stream, isSettled: stream === undefined ? !mayCreate : stream.isDone };
    };
    for (let attempts = 0; attempts < changesMax; attempts += 1) {
      const { stream, isSettled } = await look();
      if (isSettled) return stream?.found;
      await this.#locks.run(tokenOf(room.path), async () => {
        // Looks again, since another node may have changed it before.
        const now = await look();
        if (now.isSettled) return;
        await (now.stream === undefined ? this.#create(room) : this.#update(now.stream.changed, room));
      });
    }
    throw new Error(`the stream of ${room.path} was being changed by other nodes all the time`);
  }

  /** Reads a stream, and what it has to become. */
  async #look({ path, history, seen }: EngineRoom, change: Change): Promise<LookedAt | undefined> {
    const { manager } = this.#deps;
    try {
      const found = streamOf(await manager.streams.info(this.#nameOf(path)));
      const changed = change(this.#afterLoss(await this.#withOldEpochs(found), seen));
      return { found, changed, isDone: changed === found && hasLimits(found.info.config, history) };
    } catch (error) {
      if (isApiError(error, "streamNotFound")) return undefined;
      throw error;
    }
  }

  async #withOldEpochs(stream: RoomStream): Promise<RoomStream> {
    if (!hasOldMessages(stream)) return stream;
    const { state } = await this.#deps.manager.streams.info(stream.info.config.name, { subjects_filter: ">" });
    return withOldEpochs(stream, state.subjects ?? {});
  }

  /** With a new epoch if the server may have lost messages: it would use their numbers again. */
  #afterLoss(stream: RoomStream, seen: Position | undefined): RoomStream {
    const { info, notes } = stream;
    const { life = notes.life } = this.#deps;
    // In a cluster, a server that restarts gets from the others what they have acknowledged.
    const isRestarted = notes.life !== life && !info.cluster?.name;
    return isRestarted || isBelow(stream, seen) ? withEpoch(stream, info.state.last_seq, life) : stream;
  }

  /** Stores the description of a stream, its subject, and the limits of its room. */
  async #update({ info, notes, subject }: RoomStream, { path, history }: EngineRoom): Promise<void> {
    const description = descriptionOf(path, notes);
    const config: StreamConfig = { ...info.config, ...limitsOf(history), subjects: [subject], description };
    await this.#deps.manager.streams.update(config.name, config);
  }

  /** The current state of a room's stream; `undefined` if there is none. */
  async #details(room: EngineRoom, change?: Change): Promise<RoomStream | undefined> {
    const stream = await this.#settle(room, { change });
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
  ): Promise<EngineHistoryPage["entries"] | undefined> {
    const { name } = info.config;
    const newest = epochTime(notes.epochs.at(-1)?.epoch ?? "") ?? 0;
    // A stream that was deleted and made again has a later epoch. The notes may lack earlier ones.
    const isFresh = (subject: string) => (epochTime(epochOf(subject)) ?? 0) <= newest;
    try {
      const consumer = await this.#deps.client.consumers.get(name, { opt_start_seq: start });
      try {
        return await this.#deps.loss.unlessLost(fetchEntries(consumer, { name, count, bytesMax, isFresh }));
      } finally {
        // The server would also delete the consumer, but only after a while.
        consumer.delete().catch(() => undefined);
      }
    } catch (error) {
      if (isApiError(error, "streamNotFound")) return undefined;
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
