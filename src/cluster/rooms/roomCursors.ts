import type {
  BackplaneContext,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  Receiver,
} from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { isRoom } from "../../backplane/topic.js";
import { deferred, type Timer } from "../../connection/clock.js";
import { asError } from "../../errors.js";
import type { RoomPath } from "../../wire/path.js";
import type { Engine, EngineRoom } from "../engine.js";
import type { EngineState } from "../engineState.js";
import type { OutgoingQueue } from "../outgoingQueue.js";
import type { HistoryReader } from "./historyReader.js";
import { RoomCursor } from "./roomCursor.js";

/** The number of publications in one read. */
const readMax = 1_000;
/** The number of rooms that are compared at the same time. */
const compareMax = 200;

interface CursorRoom extends EngineRoom {
  readonly cursor: RoomCursor;
  /** Pending until the start position of the room on this node is known. */
  beginning: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
}

export interface RoomCursorsDeps {
  readonly engine: Pick<Engine, "top">;
  readonly engineState: EngineState;
  readonly history: HistoryReader;
  readonly outgoing: OutgoingQueue;
  readonly receiver: Receiver;
  readonly context: BackplaneContext;
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
}

/** The cursors of all rooms with history that this node has open. */
export class RoomCursors {
  readonly #deps: RoomCursorsDeps;
  readonly #rooms = new Map<RoomPath, CursorRoom>();
  readonly #failingRooms = new Set<RoomPath>();
  #checkTimer: Timer | undefined;
  #healed = 0;
  #lagged = 0;

  constructor(deps: RoomCursorsDeps) {
    this.#deps = deps;
    this.#checkLater();
  }

  get counts(): { readonly healed: number; readonly lagged: number } {
    return { healed: this.#healed, lagged: this.#lagged };
  }

  /** Adds the cursor of a room. Call {@link begin} when the channel of the room is subscribed. */
  open(path: RoomPath, history: HistoryConfig): void {
    const cursor = this.#makeCursor({ path, history });
    this.#rooms.set(path, { path, history, cursor, beginning: deferred<void>() });
  }

  /**
   * Resolves when the start position of a room on this node is known, or cannot be known now; `undefined` if that is
   * decided already, or if the room is not open.
   *
   * Publications of this node wait for it. Else they could count as published before this node opened the room.
   */
  whenBegun(path: string): Promise<void> | undefined {
    return isRoom(path) ? this.#rooms.get(path)?.beginning?.promise : undefined;
  }

  /** The engine is connected again, so that rooms without a start position get one soon. */
  renew(): void {
    for (const room of this.#rooms.values()) {
      if (room.cursor.last === undefined) room.beginning ??= deferred<void>();
    }
  }

  /** Reads the position of the last publication of a room, whose channel is subscribed now. */
  async begin(path: RoomPath): Promise<void> {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    await this.#compare([room]);
    endBeginning(room);
  }

  close(path: RoomPath): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    room.cursor.end();
    endBeginning(room);
    this.#rooms.delete(path);
    this.#failingRooms.delete(path);
  }

  /** Runs `callback` after all earlier publications to a room. Returns true if the room has a cursor. */
  afterPending(path: RoomPath, callback: () => void): boolean {
    const room = this.#rooms.get(path);
    room?.cursor.afterPending(callback);
    return room !== undefined;
  }

  /** Passes a publication to the cursor of its room. Returns true if the room has one. */
  onArrival(path: RoomPath, delivery: Delivery): boolean {
    const room = this.#rooms.get(path);
    room?.cursor.onArrival(delivery);
    return room !== undefined;
  }

  async readHistory(room: EngineRoom, query: HistoryQuery): Promise<HistoryPage> {
    const cursor = this.#rooms.get(room.path)?.cursor;
    const page = await this.#deps.history.read(room, query, cursor?.last);
    // A client that gets this page must not get the same publications again as live messages.
    await cursor?.whenReached(page.top);
    return page;
  }

  /** Compares all rooms with the engine, and reads their missed publications. */
  async compareAll(): Promise<void> {
    await this.#compare([...this.#rooms.values()]);
  }

  /** Rejects all promises that wait for publications, since they cannot be read now. */
  rejectWaiting(error: unknown): void {
    for (const room of this.#rooms.values()) {
      room.cursor.rejectWaiting(error);
      endBeginning(room);
    }
  }

  end(): void {
    this.#checkTimer?.cancel();
    for (const path of [...this.#rooms.keys()]) this.close(path);
  }

  #makeCursor(room: EngineRoom): RoomCursor {
    const { history, engineState, receiver, context } = this.#deps;
    const { clock, limits } = context;
    return new RoomCursor({
      clock,
      read: (since) => history.read(room, { since, limit: readMax }, undefined),
      deliver: (delivery) => receiver.onDelivery(room.path, delivery),
      onGap: (gap) => {
        this.#lagged += 1;
        receiver.onGap(room.path, gap);
      },
      onHealed: () => {
        this.#healed += 1;
      },
      onError: (error) => {
        if (engineState.isUp) this.#fail(room.path, asError(error));
      },
      messagesMax: limits.subscriberMessagesMax,
      bytesMax: limits.outboxBytesMax,
    });
  }

  async #compare(rooms: readonly CursorRoom[]): Promise<void> {
    for (let index = 0; index < rooms.length && this.#deps.engineState.isUp; index += compareMax) {
      await Promise.all(rooms.slice(index, index + compareMax).map((room) => this.#compareOne(room)));
    }
  }

  /** Compares one room. An error does not affect other rooms, and is reported once until the room works again. */
  async #compareOne(room: CursorRoom): Promise<void> {
    const { engine, inTime, engineState, outgoing } = this.#deps;
    const { connectionNumber } = engineState;
    try {
      const top = await inTime(engine.top(room));
      this.#failingRooms.delete(room.path);
      if (room.cursor.last === undefined) room.cursor.begin(top);
      else room.cursor.compare(top);
    } catch (error) {
      const failure = outgoing.errorOf(`the history of ${room.path} cannot be checked`, asError(error));
      const isCurrent = engineState.isUp && engineState.connectionNumber === connectionNumber;
      if (isCurrent) this.#fail(room.path, failure);
    } finally {
      endBeginning(room);
    }
  }

  #fail(path: RoomPath, error: Error): void {
    if (this.#failingRooms.has(path)) return;
    this.#failingRooms.add(path);
    this.#deps.receiver.onError(error);
  }

  /** Compares all rooms at an interval, since a room without traffic may have missed publications too. */
  #checkLater(): void {
    const { clock, random, limits } = this.#deps.context;
    const ms = limits.roomCheckMs * (0.5 + random());
    this.#checkTimer = clock.setTimeout(() => {
      this.#checkLater();
      this.compareAll().catch((error) => this.#deps.receiver.onError(asError(error)));
    }, ms);
  }
}

function endBeginning(room: CursorRoom): void {
  room.beginning?.resolve();
  room.beginning = undefined;
}
