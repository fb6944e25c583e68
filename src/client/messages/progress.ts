import type { LaggedFrame, MessageFrame, WelcomeFrame } from "../../wire/frames.js";
import { isBefore, isUpTo, missedBetween, type Position } from "../../wire/position.js";
import type { Recovered } from "../roomEvents.js";
import { messageOf } from "./message.js";
import type { Lost, MessageQueue } from "./messageQueue.js";

export interface ProgressDeps {
  readonly queue: MessageQueue;
  readonly onRecovered: (recovered: Recovered) => void;
  readonly onLost: (lost: Lost) => void;
}

/** How far a room has come in its publications: which are new, and which are lost. */
export class Progress {
  readonly #deps: ProgressDeps;
  #position: Position | undefined;
  #isFirst = true;

  constructor(deps: ProgressDeps) {
    this.#deps = deps;
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
    const isBehind = ours !== undefined && position !== undefined && reason !== "epoch" && isBefore(position, ours);
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (recovered !== true && !isBehind) this.#position = position;
    return () => {
      if ((recovered === true || isBehind) && position !== undefined) this.#recover({ position });
      else if (!isRenewed) {
        if (!isFirst) this.#lose({ reason, missed });
        this.#deps.queue.push({ kind: "resync" });
      }
    };
  }

  /** @param size Characters of the frame. */
  receive(frame: MessageFrame, size: number): void {
    const last = this.#position;
    if (frame.offset !== undefined && last !== undefined) {
      const position = { epoch: last.epoch, offset: frame.offset };
      // Seen on the connection that this one replaced.
      if (isUpTo(last, position)) return;
      this.#position = position;
      const missed = missedBetween(last, position);
      if (missed) this.#lose({ reason: "jump", missed });
    }
    const message = messageOf(frame);
    if (message !== undefined) this.#deps.queue.push({ kind: "message", message, size });
  }

  lag({ position = this.#position, missed }: LaggedFrame): void {
    this.#position = position;
    this.#lose({ reason: "lagged", missed });
  }

  #recover(recovered: Recovered): void {
    this.#deps.queue.push({ kind: "news", tell: () => this.#deps.onRecovered(recovered) });
  }

  /** In order with the messages. */
  #lose(lost: Lost): void {
    this.#deps.queue.push({ kind: "news", missed: lost.missed, tell: () => this.#deps.onLost(lost) });
  }
}
