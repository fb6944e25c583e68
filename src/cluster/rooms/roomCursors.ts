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
import type { Epoch, Position } from "../../wire/position.js";
import type { Engine, EngineRoom } from "../engine.js";
import type { EngineState } from "../engineState.js";
import type { OutgoingQueue } from "../outgoingQueue.js";
import type { HistoryReader } from "./historyReader.js";
import { RoomCursor } from "./roomCursor.js";
import { SeenPositions, withPosition } from "./seenPositions.js";
import { isForgotten, isSince, isUnborn, withUnborn } from "./unborn.js";
import type { Witnesses } from "./witnesses.js";

/** The number of publications in one read, and of their bytes. */
const readMax = 1_000;
const readBytesMax = 1024 * 1024;
/** The number of rooms that are compared at the same time. */
const compareMax = 200;

interface CursorRoom {
  /** The room as the engine needs it. What this node has seen is read at each call. */
  readonly engineRoom: EngineRoom;
  readonly cursor: RoomCursor;
  /** Pending until the start position of the room on this node is known. */
  beginning: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
}

export interface RoomCursorsDeps {
  readonly engine: Pick<Engine, "top" | "confirmLost" | "renumber">;
  readonly engineState: EngineState;
  readonly history: HistoryReader;
  readonly outgoing: OutgoingQueue;
  readonly receiver: Receiver;
  readonly context: BackplaneContext;
  readonly witnesses: Witnesses;
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
}

/** The cursors of all rooms with history that this node has open. */
export class RoomCursors {
  readonly #deps: RoomCursorsDeps;
  readonly #rooms = new Map<RoomPath, CursorRoom>();
  readonly #failingRooms = new Set<RoomPath>();
  readonly #seen = new SeenPositions();
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
    const seen = () => this.seen(path);
    const engineRoom: EngineRoom = {
      path,
      history,
      get seen() {
        return seen();
      },
    };
    // While the engine is away, nothing is published: what is delivered on this node alone must not wait.
    const beginning = this.#deps.engineState.state === "away" ? undefined : deferred<void>();
    this.#rooms.set(path, { engineRoom, cursor: this.#makeCursor(engineRoom), beginning });
  }

  /** A room as the engine needs it, with what this node has seen if it has the room open. */
  engineRoom(path: RoomPath, history: HistoryConfig): EngineRoom {
    const known = this.#rooms.get(path)?.engineRoom;
    return known?.history === history ? known : { path, history };
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
    // What arrives during the read says nothing about a page without publications: it may be newer than the page.
    const last = cursor?.last;
    const page = await this.#deps.history.read(room, query, last);
    if (last !== undefined && isForgotten(last, page.top)) {
      return { top: last, epochs: [{ epoch: last.epoch, base: 0, lost: undefined }], deliveries: [] };
    }
    // A client that gets this page must not get the same publications again as live messages.
    await cursor?.whenReached(page.top);
    return query.since === undefined ? page : this.#withLost(room, query.since, page);
  }

  /** The engine has acknowledged a publication of this node. */
  onAcknowledged(path: RoomPath, position: Position): void {
    const last = this.#rooms.get(path)?.cursor.last;
    // Noted first, so that the epochs stay in order.
    if (last !== undefined && last.epoch !== position.epoch && !isUnborn(last)) this.#seen.note(path, last);
    this.#seen.note(path, position);
  }

  /** The last position of a room that this node knows. */
  seen(path: RoomPath): Position | undefined {
    const last = this.#rooms.get(path)?.cursor.last;
    if (last === undefined || isUnborn(last)) return undefined;
    return withPosition(this.#seen.of(path), last).find(({ epoch }) => epoch === last.epoch);
  }

  /**
   * The last offset that this node has received or sent from `epoch` on, before `later`; `undefined` if it does not
   * know `epoch`. There may be epochs in between that the engine has lost.
   */
  seenBetween(path: RoomPath, epoch: string, later: readonly string[]): number | undefined {
    const current = this.seen(path);
    const noted = this.#seen.of(path);
    const positions = current === undefined ? noted : withPosition(noted, current);
    if (isUnborn({ epoch, offset: 0 })) {
      const lost = positions.filter((one) => !later.includes(one.epoch) && isSince(one, epoch));
      return Math.max(0, ...lost.map(({ offset }) => offset));
    }
    const from = positions.findIndex((one) => one.epoch === epoch);
    if (from === -1) return undefined;
    const to = positions.findIndex((one) => later.includes(one.epoch));
    const between = positions.slice(from, to > from ? to : undefined);
    return Math.max(...between.map(({ offset }) => offset));
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
      read: async (since) => this.#withLost(room, since, await history.read(room, pageAfter(since), undefined)),
      onRenumbered: (last) => this.#renumber(room.path, last),
      onEpochLeft: (last) => this.#seen.note(room.path, last),
      deliver: (delivery) => receiver.onDelivery(room.path, delivery),
      onGap: (gap) => {
        if (gap.missed !== 0) this.#lagged += 1;
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

  /** Adds to a page how many publications were lost between the epochs from that of `since`, if it can be known. */
  async #withLost(room: EngineRoom, since: Position, page: HistoryPage): Promise<HistoryPage> {
    const from = page.epochs.findIndex(({ epoch }) => epoch === since.epoch);
    const unknown = page.epochs.filter(({ lost }, index) => from !== -1 && index > from && lost === undefined);
    if (unknown.length === 0) return page;
    const epochs = page.epochs.map(async (one, index) => {
      const before = page.epochs[index - 1];
      const later = page.epochs.slice(index);
      return before === undefined || !unknown.includes(one) ? one : this.#confirm(room, before, one, later);
    });
    return { ...page, epochs: await Promise.all(epochs) };
  }

  /** Asks all nodes how far the epoch before `next` went, and keeps the answer for later readers. */
  async #confirm(room: EngineRoom, before: Epoch, next: Epoch, later: readonly Epoch[]): Promise<Epoch> {
    const { witnesses, engine, outgoing, engineState } = this.#deps;
    const offset = await witnesses.ask(
      room.path,
      before.epoch,
      later.map(({ epoch }) => epoch),
    );
    if (offset === undefined) return next;
    const lost = Math.max(0, offset - next.base);
    engine.confirmLost(room, next.epoch, lost).catch((error) => {
      const failure = outgoing.errorOf(`a loss in ${room.path} cannot be kept`, asError(error));
      if (engineState.isUp) this.#fail(room.path, failure);
    });
    return { ...next, lost };
  }

  /** Begins a new epoch after `last`: the engine has given out later numbers of this epoch before. */
  #renumber(path: RoomPath, last: Position): void {
    const room = this.#rooms.get(path);
    if (room === undefined) return;
    const { engine, inTime } = this.#deps;
    const { history } = room.engineRoom;
    // Without what this node has seen: an epoch that begins for that reason would begin later, after new publications.
    inTime(engine.renumber({ path, history }, last)).then(
      () => this.#compareOne(room),
      (error) => this.#fail(path, this.#deps.outgoing.errorOf(`${path} cannot be numbered again`, asError(error))),
    );
  }

  async #compare(rooms: readonly CursorRoom[]): Promise<void> {
    for (let index = 0; index < rooms.length && this.#deps.engineState.isUp; index += compareMax) {
      await Promise.all(rooms.slice(index, index + compareMax).map((room) => this.#compareOne(room)));
    }
  }

  /** Compares one room. An error does not affect other rooms, and is reported once until the room works again. */
  async #compareOne(room: CursorRoom): Promise<void> {
    const { engine, inTime, engineState, outgoing, now } = this.#deps;
    const { connectionNumber } = engineState;
    const { path } = room.engineRoom;
    try {
      const answer = await inTime(engine.top(room.engineRoom));
      const { top } = withUnborn(answer, room.cursor.last, now());
      this.#failingRooms.delete(path);
      if (room.cursor.last === undefined) room.cursor.begin(top);
      else room.cursor.compare(top);
    } catch (error) {
      const failure = outgoing.errorOf(`the history of ${path} cannot be checked`, asError(error));
      const isCurrent = engineState.isUp && engineState.connectionNumber === connectionNumber;
      if (isCurrent) this.#fail(path, failure);
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

function pageAfter(since: Position): HistoryQuery {
  return { since, limit: readMax, bytesMax: readBytesMax };
}

function endBeginning(room: CursorRoom): void {
  room.beginning?.resolve();
  room.beginning = undefined;
}
