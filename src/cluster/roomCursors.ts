import type { BackplaneContext, HistoryConfig, HistoryPage, HistoryQuery, Receiver } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import type { Timer } from "../connection/clock.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Engine, EngineRoom } from "./engine.js";
import type { EngineState } from "./engineState.js";
import type { HistoryReader } from "./historyReader.js";
import type { OutgoingQueue } from "./outgoingQueue.js";
import { RoomCursor } from "./roomCursor.js";

/** Publications that are read at once. */
const readMax = 1_000;
/** Rooms that are compared at once. */
const compareMax = 200;

interface CursorRoom extends EngineRoom {
  readonly cursor: RoomCursor;
}

export interface RoomCursorsDeps {
  readonly engine: Pick<Engine, "top">;
  readonly link: EngineState;
  readonly archive: HistoryReader;
  readonly outgoing: OutgoingQueue;
  readonly receiver: Receiver;
  readonly context: BackplaneContext;
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
}

/** The rooms with history that this node has opened, each followed from publication to publication. */
export class RoomCursors {
  readonly #deps: RoomCursorsDeps;
  readonly #rooms = new Map<RoomPath, CursorRoom>();
  readonly #failing = new Set<RoomPath>();
  #checking: Timer | undefined;
  #healed = 0;
  #lagged = 0;

  constructor(deps: RoomCursorsDeps) {
    this.#deps = deps;
    this.#checkLater();
  }

  get counts(): { readonly healed: number; readonly lagged: number } {
    return { healed: this.#healed, lagged: this.#lagged };
  }

  /** To be called when a room is opened; {@link begin} when it is heard. */
  open(path: RoomPath, history: HistoryConfig): void {
    this.#rooms.set(path, { path, history, cursor: this.#follower({ path, history }) });
  }

  /** Resolves when it is known where a room stands that is heard now. */
  async begin(path: RoomPath): Promise<void> {
    const room = this.#rooms.get(path);
    if (room !== undefined) await this.#compare([room]);
  }

  close(path: RoomPath): void {
    this.#rooms.get(path)?.cursor.end();
    this.#rooms.delete(path);
    this.#failing.delete(path);
  }

  /** Does what comes behind all that was published to a room before; whether that one is followed. */
  afterPending(path: RoomPath, act: () => void): boolean {
    const room = this.#rooms.get(path);
    room?.cursor.afterPending(act);
    return room !== undefined;
  }

  /** Takes what was published to a room; whether that one is followed. */
  take(path: RoomPath, delivery: Delivery): boolean {
    const room = this.#rooms.get(path);
    room?.cursor.take(delivery);
    return room !== undefined;
  }

  async readHistory(room: EngineRoom, query: HistoryQuery): Promise<HistoryPage> {
    const follower = this.#rooms.get(room.path)?.cursor;
    const kept = await this.#deps.archive.read(room, query, follower?.last);
    // Whoever gets this first must not get it once more from what the room has yet to come to.
    await follower?.reached(kept.top);
    return kept;
  }

  /** Compares all rooms with what the engine has: those that missed something get it. */
  async compareAll(): Promise<void> {
    await this.#compare([...this.#rooms.values()]);
  }

  /** What anybody waits for cannot be had now. */
  rejectWaiting(error: unknown): void {
    for (const { cursor } of this.#rooms.values()) cursor.rejectWaiting(error);
  }

  end(): void {
    this.#checking?.cancel();
    for (const path of [...this.#rooms.keys()]) this.close(path);
  }

  #follower(room: EngineRoom): RoomCursor {
    const { archive, link, receiver, context } = this.#deps;
    const { clock, limits } = context;
    return new RoomCursor({
      clock,
      read: (since) => archive.read(room, { since, limit: readMax }, undefined),
      deliver: (delivery) => receiver.onDelivery(room.path, delivery),
      lagged: (loss) => {
        this.#lagged += 1;
        receiver.onGap(room.path, loss);
      },
      healed: () => {
        this.#healed += 1;
      },
      failed: (error) => {
        if (link.isUp) this.#fail(room.path, asError(error));
      },
      ...{ messagesMax: limits.subscriberMessagesMax, bytesMax: limits.outboxBytesMax },
    });
  }

  async #compare(rooms: readonly CursorRoom[]): Promise<void> {
    for (let index = 0; index < rooms.length && this.#deps.link.isUp; index += compareMax) {
      await Promise.all(rooms.slice(index, index + compareMax).map((room) => this.#compareOne(room)));
    }
  }

  /** A room that the engine says no of is no trouble for any other; it is told of once, until it is well again. */
  async #compareOne(room: CursorRoom): Promise<void> {
    const { engine, inTime, link, outgoing } = this.#deps;
    const { connectionNumber } = link;
    try {
      const top = await inTime(engine.top(room));
      this.#failing.delete(room.path);
      if (room.cursor.last === undefined) room.cursor.begin(top);
      else room.cursor.compare(top);
    } catch (error) {
      const fault = outgoing.errorOf(`what is kept of ${room.path} cannot be looked at`, asError(error));
      if (link.isUp && link.connectionNumber === connectionNumber) this.#fail(room.path, fault);
    }
  }

  #fail(path: RoomPath, error: Error): void {
    if (this.#failing.has(path)) return;
    this.#failing.add(path);
    this.#deps.receiver.onError(error);
  }

  /** Quiet rooms too may have missed something. */
  #checkLater(): void {
    const { clock, random, limits } = this.#deps.context;
    const ms = limits.roomCheckMs * (0.5 + random());
    this.#checking = clock.setTimeout(() => {
      this.#checkLater();
      this.compareAll().catch((error) => this.#deps.receiver.onError(asError(error)));
    }, ms);
  }
}
