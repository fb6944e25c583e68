import type { LaggedFrame, MessageFrame, WelcomeFrame } from "../../wire/frames.js";
import { isBefore, isUpTo, missedBetween, type Position } from "../../wire/position.js";
import type { Lost, RoomListeners } from "../roomEvents.js";
import { messageOf } from "./message.js";
import { type MessageQueue, resync } from "./messageQueue.js";

/** How far a room has come in its publications: which are new, and which are lost. */
export class Progress {
  readonly #queue: MessageQueue;
  readonly #listeners: RoomListeners;
  #position: Position | undefined;
  #isFirst = true;

  constructor(queue: MessageQueue, listeners: RoomListeners) {
    this.#queue = queue;
    this.#listeners = listeners;
  }

  /** Of the last publication; `undefined` where the server keeps no history. */
  get position(): Position | undefined {
    return this.#position;
  }

  /**
   * Takes the position of a welcome. Returns a function that reports what this means for the messages.
   *
   * @param isRenewed Whether the connection before lasted until now.
   */
  begin({ position, recovered, reason = "off", missed }: WelcomeFrame, isRenewed: boolean): () => void {
    const ours = this.#position;
    // The connection before may have delivered more than this one begins with: what this one repeats is skipped.
    const isBehind = ours && position && reason !== "epoch" && isBefore(position, ours);
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (!recovered && !isBehind) this.#position = position;
    return () => {
      if ((recovered || isBehind) && position) {
        this.#queue.push({ tell: () => this.#listeners.tell("recovered", { position }) });
      } else if (!isRenewed) {
        if (!isFirst) this.#lose({ reason, missed });
        this.#queue.push(resync);
      }
    };
  }

  /** @param size Characters of the frame. */
  receive(frame: MessageFrame, size: number): void {
    const last = this.#position;
    if (frame.offset !== undefined && last) {
      const position = { epoch: last.epoch, offset: frame.offset };
      // Seen on the connection that this one replaced.
      if (isUpTo(last, position)) return;
      this.#position = position;
      const missed = missedBetween(last, position);
      if (missed) this.#lose({ reason: "jump", missed });
    }
    const message = messageOf(frame);
    if (message) this.#queue.push({ message, size, missed: 1 });
  }

  lag({ position = this.#position, missed }: LaggedFrame): void {
    this.#position = position;
    this.#lose({ reason: "lagged", missed });
  }

  /** In order with the messages. */
  #lose(lost: Lost): void {
    this.#queue.push({ missed: lost.missed, tell: () => this.#listeners.tell("lost", lost) });
  }
}
