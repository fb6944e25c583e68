import { randomBytes } from "node:crypto";
import { type Clock, systemClock, type Timer, timerMsMax } from "../connection/clock.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import type {
  Backplane,
  BackplaneStatus,
  CloseCommand,
  EvictCommand,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  PresenceReport,
  PresenceUpdate,
  Receiver,
  RoomNodes,
} from "./backplane.js";
import { closedError } from "./closedError.js";
import { type Counts, noCounts } from "./counts.js";
import type { Delivery } from "./delivery.js";
import { type BackplaneLimits, defaultBackplaneLimits } from "./limits.js";
import { MemoryHistory, type PublicationIdLimits } from "./memoryHistory.js";
import { SerialQueue } from "./serialQueue.js";
import { isRoom, isTree, type RevokedTopic, type Topic } from "./topic.js";

/** Options of {@link MemoryBackplane}. */
export interface MemoryOptions {
  /** The clock for the age of publications. Default: that of the process. */
  readonly clock?: Clock | undefined;
  /**
   * Limits the history by `historyBytesMax` and `roomsMax`, and the ids of publications by `publicationIdsMax` and
   * `publicationIdsMs`. Default: 64 MiB, 100,000 rooms, 1,000 ids for each room, and 2 minutes.
   */
  readonly limits?: Partial<MemoryLimits> | undefined;
}

type MemoryLimits = Pick<BackplaneLimits, "historyBytesMax" | "roomsMax"> & PublicationIdLimits;

/** The history of one room, with its timers. */
interface StoredRoom {
  readonly history: MemoryHistory;
  config: HistoryConfig | undefined;
  /** Fires when the oldest entry is too old. */
  expiry: Timer | undefined;
  /** Fires when the room has been unused for `numberingMs`. */
  idle: Timer | undefined;
}

const resolved = Promise.resolve(undefined);

/**
 * The backplane of a single node, the default of an app. History is in memory.
 *
 * It delivers publications within the call of `publish`, so their order is that of the calls. The history outlives an
 * app: pass the same backplane to the next app of the process.
 */
export class MemoryBackplane implements Backplane {
  readonly #clock: Clock;
  readonly #limits: MemoryLimits;
  readonly #opened = new Set<Topic>();
  #openTrees = 0;
  /** In the order of their last publications. */
  readonly #rooms = new Map<RoomPath, StoredRoom>();
  /** Rooms that are closed and have no history, the longest unused first. */
  readonly #unused = new Set<RoomPath>();
  readonly #epochPrefix = randomBytes(6).toString("base64url");
  #epochs = 0;
  #bytes = 0;
  #evictions = 0;
  #receiver: Receiver | undefined;
  readonly #deliveries = new SerialQueue();

  constructor({ clock = systemClock, limits }: MemoryOptions = {}) {
    this.#clock = clock;
    this.#limits = { ...defaultBackplaneLimits, ...limits };
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  open(topic: Topic): undefined {
    if (isTree(topic) && !this.#opened.has(topic)) this.#openTrees += 1;
    this.#opened.add(topic);
    if (isRoom(topic)) this.#use(topic);
  }

  close(topic: Topic): void {
    if (this.#opened.delete(topic) && isTree(topic)) this.#openTrees -= 1;
    if (isRoom(topic)) this.#freeUnused(topic);
  }

  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    if (this.#receiver === undefined) return Promise.reject(closedError());
    const { history } = delivery;
    const repeated = delivery.id === undefined || !isRoom(topic) ? undefined : this.#find(topic, delivery.id);
    if (repeated !== undefined) return Promise.resolve(repeated);
    const kept = history !== undefined && isRoom(topic) ? this.#keep(topic, delivery, history) : delivery;
    const hasReceivers = this.#opened.has(topic) || isTree(topic) || (this.#openTrees > 0 && isRoom(topic));
    if (hasReceivers) this.#deliveries.run(() => this.#receiver?.onDelivery(topic, kept));
    return kept.position === undefined ? resolved : Promise.resolve(kept.position);
  }

  closeAll(topic: Topic | RevokedTopic, closing: CloseCommand): Promise<void> {
    this.#deliveries.run(() => this.#receiver?.onCloseAll(topic, closing));
    return resolved;
  }

  evict(path: RoomPath, command: EvictCommand): Promise<void> {
    this.#deliveries.run(() => this.#receiver?.onEvict(path, command));
    return resolved;
  }

  announce(): undefined {
    return undefined;
  }

  reportPresence(_path: RoomPath, _key: string, isPresent: boolean, report: PresenceReport): void {
    report(isPresent ? "join" : "leave");
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
    const { history, config } = this.#room(path);
    if (config !== undefined) this.#expire(history, config);
    const page = history.read(query);
    this.#freeUnused(path);
    return Promise.resolve(page);
  }

  async stop(): Promise<void> {
    this.#receiver = undefined;
    this.#opened.clear();
    this.#openTrees = 0;
    for (const path of [...this.#rooms.keys()]) this.#freeUnused(path);
  }

  /** Deletes the history of all rooms. */
  clear(): void {
    for (const [path, room] of this.#rooms) this.#forget(path, room);
    this.#bytes = 0;
  }

  status(): BackplaneStatus {
    const filled = [...this.#rooms.values()].filter(({ history }) => history.size > 0);
    return {
      historyRooms: filled.length,
      historyBytes: this.#bytes,
      historyEvictions: this.#evictions,
      backplane: { engine: "memory", state: "up", nodes: 1, malformed: 0, healed: 0, lagged: 0, unpublished: 0 },
    };
  }

  /** The position of a recent publication with this id. */
  #find(path: RoomPath, id: string): Position | undefined {
    return this.#rooms.get(path)?.history.find(id, this.#clock.now(), this.#limits);
  }

  #keep(path: RoomPath, delivery: Delivery, config: HistoryConfig): Delivery {
    const room = this.#room(path);
    const { history } = room;
    this.#rooms.delete(path);
    this.#rooms.set(path, room);
    this.#use(path);
    const before = history.bytes;
    const now = this.#clock.now();
    const kept = history.append(delivery, config, now);
    if (delivery.id !== undefined) history.remember(delivery.id, now, this.#limits);
    this.#bytes += history.bytes - before;
    room.config = config;
    room.expiry ??= this.#expireLater(path, room, config);
    this.#makeSpace(path);
    return kept;
  }

  #room(path: RoomPath): StoredRoom {
    const known = this.#rooms.get(path);
    if (known !== undefined) return known;
    this.#epochs += 1;
    const epoch = `${this.#epochPrefix}-${this.#epochs.toString(36)}`;
    const history = new MemoryHistory(epoch);
    const room: StoredRoom = { history, config: undefined, expiry: undefined, idle: undefined };
    this.#rooms.set(path, room);
    this.#makeSpace(path);
    return room;
  }

  /** The rooms quiet for longest lose their whole history first. A gap in the offsets or a new epoch shows the loss. */
  #makeSpace(newest: RoomPath): void {
    const { historyBytesMax, roomsMax } = this.#limits;
    // Rooms without history are removed before any history is.
    for (const path of this.#unused) {
      const room = this.#rooms.get(path);
      if (this.#rooms.size <= roomsMax || room === undefined) break;
      this.#forget(path, room);
    }
    const last = this.#rooms.get(newest)?.history;
    // A room that exceeds the limit by itself loses history itself, not the other rooms.
    if (last !== undefined) this.#shrink(last, historyBytesMax);
    for (const [path, room] of this.#rooms) {
      const excess = this.#bytes - historyBytesMax;
      if (excess <= 0 && this.#rooms.size <= roomsMax) return;
      if (path === newest || (excess <= 0 && this.#opened.has(path))) continue;
      this.#shrink(room.history, 0);
      if (this.#rooms.size > roomsMax && !this.#opened.has(path)) this.#forget(path, room);
      else this.#freeUnused(path);
    }
  }

  #forget(path: RoomPath, { expiry, idle }: StoredRoom): void {
    expiry?.cancel();
    idle?.cancel();
    this.#rooms.delete(path);
    this.#unused.delete(path);
  }

  /** The room is open, or has history, again. */
  #use(path: RoomPath): void {
    if (!this.#unused.delete(path)) return;
    const room = this.#rooms.get(path);
    room?.idle?.cancel();
    if (room !== undefined) room.idle = undefined;
  }

  #shrink(history: MemoryHistory, bytes: number): void {
    const before = history.bytes;
    history.shrink(bytes);
    if (history.bytes === before) return;
    this.#bytes += history.bytes - before;
    this.#evictions += 1;
  }

  #expire(history: MemoryHistory, { ageMsMax }: HistoryConfig): void {
    const before = history.bytes;
    history.expire(this.#clock.now() - ageMsMax);
    this.#bytes += history.bytes - before;
  }

  #expireLater(path: RoomPath, room: StoredRoom, config: HistoryConfig): Timer | undefined {
    const { oldestAt } = room.history;
    if (oldestAt === undefined || config.ageMsMax === Number.POSITIVE_INFINITY) return undefined;
    const ms = Math.min(timerMsMax, oldestAt + config.ageMsMax - this.#clock.now());
    return this.#clock.setTimeout(() => {
      this.#expire(room.history, room.config ?? config);
      room.expiry = this.#expireLater(path, room, room.config ?? config);
      this.#freeUnused(path);
    }, ms);
  }

  /** Starts the timer that removes a room, if the room is closed and has no history. */
  #freeUnused(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined || !this.#isUnused(path, room)) return;
    this.#unused.add(path);
    room.idle ??= this.#clock.setTimeout(() => {
      room.idle = undefined;
      if (this.#isUnused(path, room)) this.#forget(path, room);
    }, numberingMs);
  }

  #isUnused(path: RoomPath, { history }: StoredRoom): boolean {
    return history.size === 0 && !this.#opened.has(path);
  }
}

/** Milliseconds that a closed room without history keeps its numbering: returning clients then find the same epoch. */
const numberingMs = 10 * 60_000;
