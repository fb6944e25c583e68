import type { LaggedFrame, MessageFrame, WelcomeFrame } from "../../wire/frames.js";
import { isUpTo, type Position } from "../../wire/position.js";
import type { Lost, RoomListeners } from "../roomEvents.js";
import { messageOf } from "./message.js";
import { type MessageQueue, resync } from "./messageQueue.js";

/** Tracks the position in the publications of the room. Skips publications that were seen, and reports lost ones. */
export class Progress {
  readonly #queue: MessageQueue;
  readonly #listeners: RoomListeners;
  #position: Position | undefined;

  constructor(queue: MessageQueue, listeners: RoomListeners) {
    this.#queue = queue;
    this.#listeners = listeners;
  }

  /** The position of the last publication; `undefined` if the server keeps no history. */
  get position(): Position | undefined {
    return this.#position;
  }

  /**
   * Applies the position of a welcome. Returns a function that queues the event `recovered` or `lost`.
   *
   * @param isRenewed True if the connection replaces one that was open until now.
   * @param isFirst True for the first welcome of the room.
   */
  begin(
    { position, recovered, reason = "off", missed }: WelcomeFrame,
    isRenewed: boolean,
    isFirst: boolean,
  ): () => void {
    const last = this.#position;
    // Nothing is missing: the publications that this connection repeats are skipped.
    const isBehind = last && position && reason !== "epoch" && isUpTo(last, position);
    if (!recovered && !isBehind) this.#position = position;
    return () => {
      if ((recovered || isBehind) && position) {
        this.#queue.push({ emit: () => this.#listeners.emit("recovered", { position }) });
      } else if (!isRenewed) {
        // The last connection may have received more after this one had asked.
        if (missed && last && position && last.epoch === position.epoch) missed = position.offset - last.offset;
        if (!isFirst) this.#queueLost({ reason, missed });
        this.#queue.push(resync);
      }
    };
  }

  /** @param size The number of characters of the frame. */
  receive(frame: MessageFrame, size: number): void {
    const last = this.#position;
    if (frame.offset !== undefined && last) {
      const missed = frame.offset - last.offset - 1;
      // It was seen on the connection that this one replaced.
      if (missed < 0) return;
      this.#position = { epoch: last.epoch, offset: frame.offset };
      if (missed) this.#queueLost({ reason: "jump", missed });
    }
    const message = messageOf(frame);
    if (message) this.#queue.push({ message, size, missed: 1 });
  }

  lag({ position = this.#position, missed }: LaggedFrame): void {
    this.#position = position;
    // Without a loss, only the numbers of the publications have changed.
    if (missed !== 0) this.#queueLost({ reason: "lagged", missed });
  }

  /** Queues the event, so that it is emitted in order with the messages. */
  #queueLost(lost: Lost): void {
    this.#queue.push({ missed: lost.missed, emit: () => this.#listeners.emit("lost", lost) });
  }
}
