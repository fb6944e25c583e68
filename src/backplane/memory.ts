import { randomBytes } from "node:crypto";
import { type Clock, systemClock, type Timer, timerMsMax } from "../connection/clock.js";

import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import type {
  Backplane,
  BackplaneStatus,
  CloseCommand,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  PresenceUpdate,
  Receiver,
  RoomNodes,
} from "./backplane.js";
import { type Counts, noCounts } from "./counts.js";
import type { Delivery } from "./delivery.js";
import { type BackplaneLimits, defaultBackplaneLimits } from "./limits.js";
import { MemoryHistory } from "./memoryHistory.js";
import { SerialQueue } from "./serialQueue.js";
import { isRoom, isTree, type Topic } from "./topic.js";

export interface MemoryOptions {
  /** Default: the system's time. */
  readonly clock?: Clock | undefined;
  /** Its `historyBytesMax` and `roomsMax` bound what is kept. Default: the app's defaults. */
  readonly limits?: Pick<BackplaneLimits, "historyBytesMax" | "roomsMax"> | undefined;
}

/** A stream, and when something of it has to go. */
interface KeptRoom {
  readonly stream: MemoryHistory;
  terms: HistoryConfig | undefined;
  /** Fires when its oldest entry is too old. */
  expiry: Timer | undefined;
  /** Fires when nobody came back for long enough. */
  idle: Timer | undefined;
}

const nothing = Promise.resolve(undefined);

/** The backplane of a single node: what is published is delivered within the call, so the order of calls is kept. */
export class MemoryBackplane implements Backplane {
  readonly #clock: Clock;
  readonly #limits: Pick<BackplaneLimits, "historyBytesMax" | "roomsMax">;
  readonly #opened = new Set<Topic>();
  /** Whatever was published to last stands last. */
  readonly #rooms = new Map<RoomPath, KeptRoom>();
  /** Those in which nobody is and nothing is kept; the longest so first. */
  readonly #unused = new Set<RoomPath>();
  readonly #life = randomBytes(6).toString("base64url");
  #streams = 0;
  #bytes = 0;
  #evictions = 0;
  #receiver: Receiver | undefined;
  readonly #turn = new SerialQueue();

  constructor({ clock = systemClock, limits = defaultBackplaneLimits }: MemoryOptions = {}) {
    this.#clock = clock;
    this.#limits = limits;
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  open(topic: Topic): undefined {
    this.#opened.add(topic);
    if (isRoom(topic)) this.#use(topic);
  }

  close(topic: Topic): void {
    this.#opened.delete(topic);
    if (isRoom(topic)) this.#freeUnused(topic);
  }

  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    const { history } = delivery;
    const kept = history !== undefined && isRoom(topic) ? this.#keep(topic, delivery, history) : delivery;
    if (this.#opened.has(topic) || isTree(topic)) this.#turn.run(() => this.#receiver?.onDelivery(topic, kept));
    return kept.position === undefined ? nothing : Promise.resolve(kept.position);
  }

  closeAll(topic: Topic, closing: CloseCommand): Promise<void> {
    this.#turn.run(() => this.#receiver?.onCloseAll(topic, closing));
    return nothing;
  }

  /** A single node knows who is there. */
  announce(): undefined {
    return undefined;
  }

  nodesInRoom(): RoomNodes {
    return { self: "", others: [] };
  }

  readPresence(): Promise<readonly PresenceUpdate[]> {
    return Promise.resolve([]);
  }

  countsElsewhere(): Counts {
    return noCounts;
  }

  readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    const { stream, terms } = this.#room(path);
    if (terms !== undefined) this.#expire(stream, terms);
    const kept = stream.read(query);
    this.#freeUnused(path);
    return Promise.resolve(kept);
  }

  async stop(): Promise<void> {
    this.#receiver = undefined;
    this.#opened.clear();
    for (const path of [...this.#rooms.keys()]) this.#freeUnused(path);
  }

  /** Forgets all that is kept. */
  clear(): void {
    for (const [path, room] of this.#rooms) this.#forget(path, room);
    this.#bytes = 0;
  }

  status(): BackplaneStatus {
    const filled = [...this.#rooms.values()].filter(({ stream }) => stream.size > 0);
    return {
      ...{ historyRooms: filled.length, historyBytes: this.#bytes, historyEvictions: this.#evictions },
      backplane: { engine: "memory", state: "up", nodes: 1, malformed: 0, healed: 0, lagged: 0, unpublished: 0 },
    };
  }

  #keep(path: RoomPath, delivery: Delivery, terms: HistoryConfig): Delivery {
    const room = this.#room(path);
    const { stream } = room;
    this.#rooms.delete(path);
    this.#rooms.set(path, room);
    this.#use(path);
    const before = stream.bytes;
    const kept = stream.append(delivery, terms, this.#clock.now());
    this.#bytes += stream.bytes - before;
    room.terms = terms;
    room.expiry ??= this.#expireLater(path, room, terms);
    this.#makeSpace(path);
    return kept;
  }

  #room(path: RoomPath): KeptRoom {
    const known = this.#rooms.get(path);
    if (known !== undefined) return known;
    this.#streams += 1;
    const epoch = `${this.#life}-${this.#streams.toString(36)}`;
    const room: KeptRoom = { stream: new MemoryHistory(epoch), terms: undefined, expiry: undefined, idle: undefined };
    this.#rooms.set(path, room);
    this.#makeSpace(path);
    return room;
  }

  /** The rooms that were quiet for longest lose their history first, whole: a gap in the offsets, or a new epoch, tells. */
  #makeSpace(newest: RoomPath): void {
    const { historyBytesMax, roomsMax } = this.#limits;
    // Streams of which nothing is kept go before any history does.
    for (const path of this.#unused) {
      const room = this.#rooms.get(path);
      if (this.#rooms.size <= roomsMax || room === undefined) break;
      this.#forget(path, room);
    }
    const last = this.#rooms.get(newest)?.stream;
    // One room that alone is too much must not cost the others theirs.
    if (last !== undefined) this.#shrink(last, historyBytesMax);
    for (const [path, room] of this.#rooms) {
      const excess = this.#bytes - historyBytesMax;
      if (excess <= 0 && this.#rooms.size <= roomsMax) return;
      if (path === newest || (excess <= 0 && this.#opened.has(path))) continue;
      this.#shrink(room.stream, 0);
      if (this.#rooms.size > roomsMax && !this.#opened.has(path)) this.#forget(path, room);
      else this.#freeUnused(path);
    }
  }

  #forget(path: RoomPath, { expiry, idle }: KeptRoom): void {
    expiry?.cancel();
    idle?.cancel();
    this.#rooms.delete(path);
    this.#unused.delete(path);
  }

  /** Somebody is there, or something is kept again. */
  #use(path: RoomPath): void {
    if (!this.#unused.delete(path)) return;
    const room = this.#rooms.get(path);
    room?.idle?.cancel();
    if (room !== undefined) room.idle = undefined;
  }

  #shrink(stream: MemoryHistory, bytes: number): void {
    const before = stream.bytes;
    stream.shrink(bytes);
    if (stream.bytes === before) return;
    this.#bytes += stream.bytes - before;
    this.#evictions += 1;
  }

  #expire(stream: MemoryHistory, { ageMsMax }: HistoryConfig): void {
    const before = stream.bytes;
    stream.expire(this.#clock.now() - ageMsMax);
    this.#bytes += stream.bytes - before;
  }

  #expireLater(path: RoomPath, room: KeptRoom, terms: HistoryConfig): Timer | undefined {
    const { oldestAt } = room.stream;
    if (oldestAt === undefined || terms.ageMsMax === Number.POSITIVE_INFINITY) return undefined;
    const ms = Math.min(timerMsMax, oldestAt + terms.ageMsMax - this.#clock.now());
    return this.#clock.setTimeout(() => {
      this.#expire(room.stream, room.terms ?? terms);
      room.expiry = this.#expireLater(path, room, room.terms ?? terms);
      this.#freeUnused(path);
    }, ms);
  }

  /** Lets go of a stream in which nobody is and nothing is kept, when it was that way for a while. */
  #freeUnused(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined || !this.#isUnused(path, room)) return;
    this.#unused.add(path);
    room.idle ??= this.#clock.setTimeout(() => {
      room.idle = undefined;
      if (this.#isUnused(path, room)) this.#forget(path, room);
    }, numberingMs);
  }

  #isUnused(path: RoomPath, { stream }: KeptRoom): boolean {
    return stream.size === 0 && !this.#opened.has(path);
  }
}

/** How long a stream outlives its room and all that was kept: who comes back meanwhile finds the numbering it knows. */
const numberingMs = 10 * 60_000;
