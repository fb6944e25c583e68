import { type Clock, systemClock, type Timer, timerMsMax } from "../connection/clock.js";
import { EnfiladeError } from "../errors.js";
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
import { type LeveledRoom, MemoryLevels } from "./memory/levels.js";
import { MemoryHistory, type PublicationIdLimits } from "./memory/memoryHistory.js";
import { MemoryNumbering } from "./memory/numbering.js";
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

/** A room that is open, or has history. */
interface StoredRoom extends LeveledRoom<StoredRoom> {
  readonly path: RoomPath;
  config: HistoryConfig | undefined;
  /** Fires when the oldest entry is too old. */
  expiry: Timer | undefined;
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
  readonly #rooms = new Map<RoomPath, StoredRoom>();
  readonly #levels = new MemoryLevels<StoredRoom>();
  readonly #numbering: MemoryNumbering;
  #evictions = 0;
  #receiver: Receiver | undefined;
  readonly #deliveries = new SerialQueue();

  constructor({ clock = systemClock, limits }: MemoryOptions = {}) {
    this.#clock = clock;
    this.#limits = { ...defaultBackplaneLimits, ...limits };
    this.#numbering = new MemoryNumbering(clock);
  }

  start(receiver: Receiver): void {
    if (this.#receiver !== undefined) {
      throw new EnfiladeError(
        "ERR_OPTION",
        "a MemoryBackplane serves one app at a time; await close() of the other app first",
      );
    }
    this.#receiver = receiver;
  }

  open(topic: Topic): undefined {
    if (isTree(topic) && !this.#opened.has(topic)) this.#openTrees += 1;
    this.#opened.add(topic);
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
    const known = this.#rooms.get(path);
    if (known !== undefined) this.#expire(known);
    // A room that is neither open nor has history is not stored because of a reader.
    else if (!this.#opened.has(path)) {
      return Promise.resolve(new MemoryHistory(path, this.#numbering.top(path)).read(query));
    }
    return Promise.resolve((known ?? this.#room(path)).history.read(query));
  }

  async stop(): Promise<void> {
    this.#receiver = undefined;
    this.#opened.clear();
    this.#openTrees = 0;
    for (const path of [...this.#rooms.keys()]) this.#freeUnused(path);
  }

  /** Deletes the history of all rooms. */
  clear(): void {
    for (const room of this.#rooms.values()) {
      this.#clear(room);
      this.#numbering.forget(room.path);
    }
    this.#rooms.clear();
    while (this.#numbering.size > 0) this.#numbering.forgetOldest();
  }

  status(): BackplaneStatus {
    return {
      historyRooms: this.#levels.size,
      historyBytes: this.#levels.bytes,
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
    const now = this.#clock.now();
    const kept = history.append(delivery, config, now);
    if (delivery.id !== undefined) history.remember(delivery.id, now, this.#limits);
    room.config = config;
    // A room that exceeds the limit by itself loses history itself, not the other rooms.
    history.shrink(this.#limits.historyBytesMax - history.ownBytes);
    history.expire(now, config, this.#limits);
    this.#levels.promote(room);
    room.expiry ??= this.#expireLater(room);
    this.#makeSpace(room);
    this.#freeUnused(path);
    return kept;
  }

  #room(path: RoomPath): StoredRoom {
    const known = this.#rooms.get(path);
    if (known !== undefined) return known;
    const history = new MemoryHistory(path, this.#numbering.take(path));
    const unused = { config: undefined, expiry: undefined, level: undefined, previous: undefined, next: undefined };
    const room: StoredRoom = { path, history, ...unused, countedBytes: 0 };
    this.#rooms.set(path, room);
    return room;
  }

  /** Rooms with few messages lose their history first. A gap in the offsets or a new epoch shows the loss. */
  #makeSpace(newest: StoredRoom): void {
    const { historyBytesMax, roomsMax } = this.#limits;
    while (this.#levels.bytes > historyBytesMax && this.#evict((room) => room !== newest));
    // Positions of rooms without history are forgotten before any history is.
    while (this.#rooms.size + this.#numbering.size > roomsMax) {
      if (this.#numbering.size > 0) this.#numbering.forgetOldest();
      else if (!this.#evict((room) => room !== newest && !this.#opened.has(room.path))) return;
    }
  }

  /** Returns `false` if no room can lose its history. */
  #evict(canLose: (room: StoredRoom) => boolean): boolean {
    const room = this.#levels.next(canLose);
    if (room === undefined) return false;
    this.#evictions += 1;
    this.#clear(room);
    this.#freeUnused(room.path);
    return true;
  }

  #clear(room: StoredRoom): void {
    room.history.clear();
    this.#levels.update(room);
    room.expiry?.cancel();
    room.expiry = undefined;
  }

  #expire(room: StoredRoom): void {
    const { history, config } = room;
    if (config === undefined) return;
    history.expire(this.#clock.now(), config, this.#limits);
    this.#levels.update(room);
  }

  #expireLater(room: StoredRoom): Timer | undefined {
    const at = room.config && room.history.expiryAt(room.config, this.#limits);
    if (at === undefined) return undefined;
    return this.#clock.setTimeout(
      () => {
        this.#expire(room);
        room.expiry = this.#expireLater(room);
        this.#freeUnused(room.path);
      },
      Math.min(timerMsMax, at - this.#clock.now()),
    );
  }

  /** Frees a room that is closed and has no history; its position is kept for a while. */
  #freeUnused(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined || this.#opened.has(path) || !room.history.isEmpty) return;
    room.expiry?.cancel();
    this.#rooms.delete(path);
    this.#numbering.leave(path, room.history.top);
  }
}
