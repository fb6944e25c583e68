import type { LaggedFrame, MessageFrame, RoomFrame, WelcomeFrame } from "../../wire/frames.js";
import { isUpTo, type Position } from "../../wire/position.js";
import type { Lost, RoomListeners } from "../roomEvents.js";
import { messageOf } from "./message.js";
import { type MessageQueue, resync } from "./messageQueue.js";

/** The key of the home among the positions. */
const home = "";

/**
 * Tracks the positions in the publications of the home, and of the rooms that the connection joins besides it. Skips
 * publications that were seen, and reports lost ones.
 */
export class Progress {
  readonly #queue: MessageQueue;
  readonly #listeners: RoomListeners;
  /** The positions of the last publications, by the path of the room; `""` for the home. */
  readonly positions = new Map<string, Position>();

  constructor(queue: MessageQueue, listeners: RoomListeners) {
    this.#queue = queue;
    this.#listeners = listeners;
  }

  /** The position of the last publication of the home; `undefined` if the server keeps no history. */
  get position(): Position | undefined {
    return this.positions.get(home);
  }

  /**
   * Applies the position of a welcome. Returns a function that queues the event `recovered` or `lost`.
   *
   * @param isRenewed True if the connection replaces one that was open until now.
   * @param isFirst True for the first welcome of the room.
   */
  begin(welcome: WelcomeFrame, isRenewed: boolean, isFirst: boolean): () => void {
    const last = this.position;
    const { position, missed } = welcome;
    const isContinued = this.#continue(home, welcome);
    return () => {
      if (isContinued && position) {
        this.#queue.push({ emit: () => this.#listeners.emit("recovered", { position }) });
      } else if (!isRenewed) {
        // The last connection may have received more after this one had asked.
        const isCounted = missed && last && last.epoch === position?.epoch;
        if (!isFirst) this.#queueLost({ ...welcome, missed: isCounted ? position.offset - last.offset : missed });
        this.#queue.push(resync);
      }
    };
  }

  /** The connection has joined or left a room besides its home. */
  move(frame: RoomFrame): void {
    const isKnown = this.positions.has(frame.room);
    const isContinued = this.#continue(frame.room, frame);
    // The first `joined` of a room has `recovered` only if publications since then were dropped.
    const isLost = frame.recovered === false || (isKnown && frame.type === "joined");
    if (isLost && !isContinued) this.#queueLost(frame, frame.room);
  }

  /** @param size The number of characters of the frame. */
  receive(frame: MessageFrame, size: number): void {
    const { room = home, offset = frame.roomOffset } = frame;
    const last = this.positions.get(room);
    if (offset && last) {
      const missed = offset - last.offset - 1;
      // It was seen on the connection that this one replaced.
      if (missed < 0) return;
      this.positions.set(room, { epoch: last.epoch, offset });
      // In other rooms, a jump may be a message that this client is excepted from.
      if (missed && !room) this.#queueLost({ reason: "jump", missed });
    }
    const message = messageOf(frame);
    if (message) this.#queue.push({ message, size, missed: 1 });
  }

  lag({ room = home, position, roomPosition = position, missed }: LaggedFrame): void {
    if (roomPosition) this.positions.set(room, roomPosition);
    // Without a loss, only the numbers of the publications have changed.
    if (missed !== 0) this.#queueLost({ reason: "lagged", missed }, room);
  }

  /** Applies the position of a room; returns whether nothing is missing since the last one. */
  #continue(room: string, { position, recovered, reason }: WelcomeFrame | RoomFrame): boolean | undefined {
    const last = this.positions.get(room);
    // Publications that this connection repeats are skipped.
    if (recovered || (last && position && reason !== "epoch" && isUpTo(last, position))) return true;
    this.positions.delete(room);
    if (position) this.positions.set(room, position);
    return false;
  }

  /** Queues the event, so that it is emitted in order with the messages. */
  #queueLost({ reason = "off", missed }: Partial<Lost>, room = home): void {
    const lost: Lost = { reason, missed, ...(room && { room }) };
    this.#queue.push({ missed, emit: () => this.#listeners.emit("lost", lost) });
  }
}
