import type { EventFailure } from "../../wire/events/protocol.js";
import type { ReplyFrame } from "../../wire/frames.js";
import type { Bytes } from "../../wire/payload.js";
import type { Reconnector } from "../connection/reconnector.js";
import { RequestError } from "../errors.js";
import type { Dropped, RoomListeners } from "../roomEvents.js";

/** Takes what became of a request: an error, or else the reply. */
export type Waiter = (error: RequestError | undefined, reply?: unknown) => void;

interface Entry {
  /** A binary message has none: nothing answers it, and it is sent once. */
  readonly id?: number;
  readonly data: string | Uint8Array;
  readonly bytes: number;
  readonly waiter?: Waiter | undefined;
  /** Whether some connection took it: the server may have run it. */
  sent?: boolean;
}

/** So many ids of a client the server remembers (PROTOCOL.md): an older one that is sent again would run twice. */
const window = 128;

const full: EventFailure = { code: "queue_full", message: "the queue is full" };
const closed: EventFailure = { code: "closed", message: "the room is closed" };

/** What this side sends, in order, each frame until it is answered: on the next connection what is left is sent again. */
export class SendQueue {
  readonly #line: Pick<Reconnector, "state" | "send">;
  readonly #listeners: RoomListeners;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  /** In order; by id, or where there is none, by itself. */
  readonly #entries = new Map<number | Entry, Entry>();
  #lastId = 0;
  /** Up to which id this connection was sent all. */
  #sentTo = 0;
  #isClosed = false;

  /**
   * @param messagesMax How many frames may wait while there is no connection.
   * @param bytesMax How many bytes of them.
   */
  constructor(
    line: Pick<Reconnector, "state" | "send">,
    listeners: RoomListeners,
    messagesMax: number,
    bytesMax: number,
  ) {
    this.#line = line;
    this.#listeners = listeners;
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  /**
   * Returns the id of the frame.
   *
   * @throws RequestError `closed` or `queue_full` when somebody waits for a reply that will not come.
   * @throws TypeError when JSON has no form for it.
   */
  push(frame: object, waiter?: Waiter): number {
    const id = this.#lastId + 1;
    const text = JSON.stringify({ ...frame, id });
    const bytes = new TextEncoder().encode(text).length;
    if (this.#isClosed && waiter) throw new RequestError(closed);
    this.#lastId = id;
    this.#add({ id, data: text, bytes, waiter });
    return id;
  }

  /**
   * Sends bytes as they are now, at most once.
   *
   * @throws TypeError when they are none.
   */
  pushBinary(bytes: Bytes): void {
    const { buffer, byteOffset, byteLength } = "buffer" in bytes ? bytes : new DataView(bytes);
    const data = new Uint8Array(buffer, byteOffset, byteLength).slice();
    this.#add({ data, bytes: byteLength });
  }

  /** A new connection is there. */
  restart(): void {
    this.#sentTo = 0;
    this.#flush();
  }

  /** @param onRefused Receives the refusal of a frame that nobody awaits. */
  settle({ id, data, error }: ReplyFrame<number>, onRefused: (error: RequestError) => void): void {
    const entry = this.#entries.get(id);
    // Nobody waits any more.
    if (!entry) return;
    this.withdraw(id);
    const refusal = error && new RequestError(error);
    if (entry.waiter) entry.waiter(refusal, data);
    else if (refusal) onRefused(refusal);
  }

  /** It is not sent again, or not at all; nobody is told. */
  withdraw(id: number): void {
    this.#entries.delete(id);
    this.#flush();
  }

  close(): void {
    const left = [...this.#entries.values()];
    this.#isClosed = true;
    this.#entries.clear();
    for (const { waiter } of left) waiter?.(new RequestError(closed));
    this.#tellDropped(
      left.filter(({ waiter, sent }) => !waiter && !sent),
      "closed",
    );
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id ?? entry, entry);
    if (this.#line.state === "open") this.#flush();
    else if (this.#isClosed) this.close();
    else this.#bound(entry);
  }

  #flush(): void {
    let oldest: number | undefined;
    for (const entry of this.#entries.values()) {
      const { id } = entry;
      if (this.#line.state !== "open") return;
      if (id === undefined) this.#entries.delete(entry);
      else {
        oldest ??= id;
        if (id <= this.#sentTo) continue;
        if (id - oldest >= window) return;
        this.#sentTo = id;
      }
      entry.sent = true;
      this.#line.send(entry.data);
    }
  }

  #bound(newest: Entry): void {
    const waiting = [...this.#entries.values()].filter(({ sent }) => !sent);
    let count = waiting.length - this.#messagesMax;
    let bytes = waiting.reduce((sum, entry) => sum + entry.bytes, -this.#bytesMax);
    // A frame that is too large by itself drops no other one.
    const victims = (newest.bytes > this.#bytesMax ? [newest] : waiting).filter((entry) => {
      const isVictim = !entry.waiter && (count > 0 || bytes > 0);
      if (isVictim) [count, bytes] = [count - 1, bytes - entry.bytes];
      return isVictim;
    });
    if (newest.waiter && (count > 0 || bytes > 0)) {
      this.#entries.delete(newest.id ?? newest);
      throw new RequestError(full);
    }
    for (const victim of victims) this.#entries.delete(victim.id ?? victim);
    this.#tellDropped(victims, "full");
  }

  #tellDropped({ length: count }: readonly Entry[], reason: Dropped["reason"]): void {
    if (count > 0) this.#listeners.tell("dropped", { count, reason });
  }
}
