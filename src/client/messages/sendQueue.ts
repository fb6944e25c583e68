import type { EventFailure } from "../../wire/events/protocol.js";
import type { ReplyFrame } from "../../wire/frames.js";
import type { Bytes } from "../../wire/payload.js";
import type { Reconnector } from "../connection/reconnector.js";
import { RequestError } from "../errors.js";
import type { Dropped, RoomListeners } from "../roomEvents.js";

/** Called once with the result of a request: an error or the reply. */
export type OnSettled = (error: RequestError | undefined, reply?: unknown) => void;

interface Entry {
  /** `undefined` for a binary message, which gets no reply and is sent once. */
  readonly id?: number;
  readonly data: string | Uint8Array;
  readonly bytes: number;
  readonly onSettled?: OnSettled | undefined;
  /** True if it was sent on a connection, so that the server may have run it. */
  isSent?: boolean;
}

/**
 * The number of ids that the server remembers for a client (PROTOCOL.md). An older frame, sent again, would run twice.
 */
const unansweredMax = 128;

const full: EventFailure = { code: "queue_full", message: "the queue is full" };
const closed: EventFailure = { code: "closed", message: "the room is closed" };

/**
 * The outgoing frames, in order, each until it is answered. Unanswered frames are sent again on the next connection.
 */
export class SendQueue {
  readonly #reconnector: Pick<Reconnector, "state" | "send">;
  readonly #listeners: RoomListeners;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  /** The entries in order, by id. An entry without an id is its own key. */
  readonly #entries = new Map<number | Entry, Entry>();
  #lastId = 0;
  /** The highest id that was sent on this connection. */
  #lastSentId = 0;
  #isClosed = false;

  /**
   * @param messagesMax The number of frames that may wait while there is no connection.
   * @param bytesMax The number of their bytes.
   */
  constructor(
    reconnector: Pick<Reconnector, "state" | "send">,
    listeners: RoomListeners,
    messagesMax: number,
    bytesMax: number,
  ) {
    this.#reconnector = reconnector;
    this.#listeners = listeners;
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  /**
   * Sends a frame, now or when there is a connection. Returns its id.
   *
   * @throws RequestError `closed` or `queue_full` when there will be no reply for `onSettled`.
   * @throws TypeError when JSON cannot encode the frame.
   */
  push(frame: object, onSettled?: OnSettled): number {
    const id = this.#lastId + 1;
    const text = JSON.stringify({ ...frame, id });
    const bytes = new TextEncoder().encode(text).length;
    if (this.#isClosed && onSettled) throw new RequestError(closed);
    this.#lastId = id;
    this.#add({ id, data: text, bytes, onSettled });
    return id;
  }

  /**
   * Sends a copy of `bytes`, at most once.
   *
   * @throws TypeError when `bytes` is not an `ArrayBuffer` or a view of one.
   */
  pushBinary(bytes: Bytes): void {
    const { buffer, byteOffset, byteLength } = "buffer" in bytes ? bytes : new DataView(bytes);
    const data = new Uint8Array(buffer, byteOffset, byteLength).slice();
    this.#add({ data, bytes: byteLength });
  }

  /** Sends all unanswered frames on a new connection. */
  restart(): void {
    this.#lastSentId = 0;
    this.#flush();
  }

  /** Applies a reply. @param onRefused Receives the error of a frame without `onSettled`. */
  settle({ id, data, error }: ReplyFrame<number>, onRefused: (error: RequestError) => void): void {
    const entry = this.#entries.get(id);
    // The request was withdrawn.
    if (!entry) return;
    this.withdraw(id);
    const refusal = error && new RequestError(error);
    if (entry.onSettled) entry.onSettled(refusal, data);
    else if (refusal) onRefused(refusal);
  }

  /** Removes a frame without a call of `onSettled`. It is not sent any more. */
  withdraw(id: number): void {
    this.#entries.delete(id);
    this.#flush();
  }

  close(): void {
    const unanswered = [...this.#entries.values()];
    this.#isClosed = true;
    this.#entries.clear();
    for (const { onSettled } of unanswered) onSettled?.(new RequestError(closed));
    this.#emitDropped(
      unanswered.filter(({ onSettled, isSent }) => !onSettled && !isSent),
      "closed",
    );
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id ?? entry, entry);
    if (this.#reconnector.state === "open") this.#flush();
    else if (this.#isClosed) this.close();
    else this.#dropExcess(entry);
  }

  #flush(): void {
    let oldest: number | undefined;
    for (const entry of this.#entries.values()) {
      const { id } = entry;
      if (this.#reconnector.state !== "open") return;
      if (id === undefined) this.#entries.delete(entry);
      else {
        oldest ??= id;
        if (id <= this.#lastSentId) continue;
        if (id - oldest >= unansweredMax) return;
        this.#lastSentId = id;
      }
      entry.isSent = true;
      this.#reconnector.send(entry.data);
    }
  }

  /** Drops the oldest frames past the limits. */
  #dropExcess(newest: Entry): void {
    const waiting = [...this.#entries.values()].filter(({ isSent }) => !isSent);
    let count = waiting.length - this.#messagesMax;
    let bytes = waiting.reduce((sum, entry) => sum + entry.bytes, -this.#bytesMax);
    // If the newest frame alone is too large, only that frame is dropped.
    const victims = (newest.bytes > this.#bytesMax ? [newest] : waiting).filter((entry) => {
      const isVictim = !entry.onSettled && (count > 0 || bytes > 0);
      if (isVictim) [count, bytes] = [count - 1, bytes - entry.bytes];
      return isVictim;
    });
    if (newest.onSettled && (count > 0 || bytes > 0)) {
      this.#entries.delete(newest.id ?? newest);
      throw new RequestError(full);
    }
    for (const victim of victims) this.#entries.delete(victim.id ?? victim);
    this.#emitDropped(victims, "full");
  }

  #emitDropped({ length: count }: readonly Entry[], reason: Dropped["reason"]): void {
    if (count > 0) this.#listeners.emit("dropped", { count, reason });
  }
}
