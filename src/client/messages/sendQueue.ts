import type { EventFailure } from "../../wire/events/protocol.js";
import type { ItemFrame, ReplyFrame } from "../../wire/frames.js";
import type { Bytes } from "../../wire/payload.js";
import type { Attempt } from "../connection/attempt.js";
import type { Reconnector } from "../connection/reconnector.js";
import { RequestError } from "../errors.js";
import type { Dropped, RoomListeners } from "../roomEvents.js";

/** Called once with the result of a request: an error or the reply. */
export type OnSettled = (error: RequestError | undefined, reply?: unknown, seq?: number) => void;

/** A frame whose answer is a stream. */
interface StreamEntry {
  /** Makes the text that is sent on the next connection. */
  again(): string;
  onItem(item: ItemFrame<number>): void;
}

interface Entry {
  /** `undefined` for a binary message, which gets no reply and is sent once. */
  readonly id?: number;
  readonly data: string | Uint8Array;
  readonly bytes: number;
  readonly onSettled?: OnSettled | undefined;
  readonly stream?: StreamEntry | undefined;
  /** The connection that it was sent on last. If it is set, the server may have run the frame. */
  connection?: Attempt | undefined;
}

/**
 * The number of ids that the server remembers for a client (PROTOCOL.md). An older frame, sent again, would run twice.
 */
const unansweredMax = 128;

const full: EventFailure = { code: "queue_full", message: "the queue is full" };
const closed: EventFailure = { code: "closed", message: "the room is closed" };

/** The outgoing frames, in order, each until it is answered. */
export class SendQueue {
  readonly #reconnector: Pick<Reconnector, "state" | "attempt" | "release">;
  readonly #listeners: RoomListeners;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  /** The entries in order, by id. An entry without an id is its own key. */
  readonly #entries = new Map<number | Entry, Entry>();
  #lastId = 0;
  #isClosed = false;

  /**
   * @param messagesMax The number of frames that may wait while there is no connection.
   * @param bytesMax The number of their bytes.
   */
  constructor(
    reconnector: Pick<Reconnector, "state" | "attempt" | "release">,
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
   * Sends a frame, now or when there is a connection. Returns its entry, with its id.
   *
   * @throws RequestError `closed` or `queue_full` when there will be no reply for `onSettled`.
   * @throws TypeError when JSON cannot encode the frame.
   */
  push(frame: object, onSettled?: OnSettled, stream?: StreamEntry): Entry & { readonly id: number } {
    const id = this.#lastId + 1;
    const text = JSON.stringify({ ...frame, id });
    const bytes = new TextEncoder().encode(text).length;
    if (this.#isClosed && onSettled) throw new RequestError(closed);
    this.#lastId = id;
    const entry = { id, data: text, bytes, onSettled, stream };
    this.#add(entry);
    return entry;
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

  /**
   * Sends the frames that were not sent yet, and again those whose connection has ended without a reply. Then closes
   * the connections that were replaced and have replied to all frames.
   */
  flush(): void {
    const awaited: Attempt[] = [];
    let oldest: number | undefined;
    for (const entry of this.#entries.values()) {
      const { id, connection, stream } = entry;
      // A stream may take long. The server does not run it again: it knows how much of it was received.
      if (!stream) oldest ??= id;
      if (connection && !connection.hasEnded) awaited.push(connection);
      else if (this.#reconnector.state === "open") {
        if (id === undefined) this.#entries.delete(entry);
        else if (id - (oldest ?? id) >= unansweredMax) break;
        // Set before, since a listener of the log may send the next frame.
        entry.connection = this.#reconnector.attempt;
        entry.connection?.send((connection && stream?.again()) ?? entry.data);
      }
    }
    this.#reconnector.release(awaited);
  }

  /** Applies a reply, or an item of a stream. @param onRefused Receives the error of a frame without `onSettled`. */
  settle(frame: ReplyFrame<number> | ItemFrame<number>, onRefused: (error: RequestError) => void): void {
    const { id, data, seq } = frame;
    const entry = this.#entries.get(id);
    // The request was withdrawn.
    if (!entry) return;
    if (frame.type === "item") {
      entry.stream?.onItem(frame);
      return;
    }
    this.withdraw(id);
    const refusal = frame.error && new RequestError(frame.error);
    if (entry.onSettled) entry.onSettled(refusal, data, seq);
    else if (refusal) onRefused(refusal);
  }

  /** Removes a frame without a call of `onSettled`. It is not sent any more. */
  withdraw(id: number): void {
    this.#entries.delete(id);
    this.flush();
  }

  close(): void {
    this.#isClosed = true;
    const unanswered = [...this.#entries.values()];
    this.#entries.clear();
    for (const { onSettled } of unanswered) onSettled?.(new RequestError(closed));
    this.#emitDropped(
      unanswered.filter(({ onSettled, connection }) => !onSettled && !connection),
      "closed",
    );
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id ?? entry, entry);
    if (this.#reconnector.state === "open") this.flush();
    else if (this.#isClosed) this.close();
    else this.#dropExcess(entry);
  }

  /** Drops the oldest frames past the limits. */
  #dropExcess(newest: Entry): void {
    const waiting = [...this.#entries.values()].filter(({ connection }) => !connection);
    let count = waiting.length - this.#messagesMax;
    let bytes = waiting.reduce((sum, entry) => sum + entry.bytes, -this.#bytesMax);
    // If the newest frame alone is too large, only that frame is dropped.
    const victims = (newest.bytes > this.#bytesMax ? [newest] : waiting).filter((entry) => {
      const isVictim = !entry.onSettled && (count > 0 || bytes > 0);
      if (isVictim) [count, bytes] = [count - 1, bytes - entry.bytes];
      return isVictim;
    });
    // Only the newest request can be too much.
    if (count > 0 || bytes > 0) {
      this.#entries.delete(newest.id ?? newest);
      throw new RequestError(full);
    }
    for (const victim of victims) this.#entries.delete(victim.id ?? victim);
    this.#emitDropped(victims, "full");
  }

  #emitDropped({ length: count }: readonly Entry[], reason: Dropped["reason"]): void {
    if (count) this.#listeners.emit("dropped", { count, reason });
  }
}
