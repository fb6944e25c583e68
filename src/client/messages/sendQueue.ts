import type { EventFailure } from "../../wire/events/protocol.js";
import type { ReplyFrame } from "../../wire/frames.js";
import { RequestError } from "../errors.js";

/** Takes what became of a request: an error, or else the reply. */
export type Waiter = (error: RequestError | undefined, reply?: unknown) => void;

/** Frames of this side that were given up before any connection took them. */
export interface Dropped {
  readonly count: number;
  /** `full`: more waited than may; `closed`: the room is closed. */
  readonly reason: "full" | "closed";
}

export interface SendQueueDeps {
  /** How much may wait while there is no connection. */
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly isOpen: () => boolean;
  readonly send: (text: string) => void;
  readonly onDropped: (dropped: Dropped) => void;
  /** Takes the refusal of what nobody waits for. */
  readonly onRefused: (error: RequestError) => void;
}

interface Entry {
  readonly id: number;
  readonly text: string;
  readonly bytes: number;
  readonly waiter: Waiter | undefined;
  /** Whether some connection took it: the server may have run it. */
  sent: boolean;
}

/** So many ids of a client the server remembers (PROTOCOL.md): an older one that is sent again would run twice. */
const window = 128;

const full: EventFailure = { code: "queue_full", message: "too much waits for a connection" };
const closed: EventFailure = { code: "closed", message: "the room is closed" };

/** What this side sends, in order, each frame until it is answered: on the next connection what is left is sent again. */
export class SendQueue {
  readonly #deps: SendQueueDeps;
  /** By id, and so in order. */
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;
  /** Up to which id this connection was sent all. */
  #sentTo = 0;
  #isClosed = false;

  constructor(deps: SendQueueDeps) {
    this.#deps = deps;
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
    const entry = { id, text, bytes: new TextEncoder().encode(text).length, waiter, sent: false };
    if (this.#isClosed && waiter !== undefined) throw new RequestError(closed);
    this.#lastId = id;
    if (this.#isClosed) this.#deps.onDropped({ count: 1, reason: "closed" });
    else this.#add(entry);
    return id;
  }

  /** A new connection is there. */
  restart(): void {
    this.#sentTo = 0;
    this.#flush();
  }

  settle({ id, data, error }: ReplyFrame<number>): void {
    const entry = this.#entries.get(id);
    // Nobody waits any more.
    if (entry === undefined) return;
    this.withdraw(id);
    const refusal = error && new RequestError(error);
    if (entry.waiter !== undefined) entry.waiter(refusal, data);
    else if (refusal !== undefined) this.#deps.onRefused(refusal);
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
    this.#tellDropped(left.filter(isPlainAndWaits), "closed");
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id, entry);
    if (this.#deps.isOpen()) this.#flush();
    else this.#bound(entry);
  }

  #flush(): void {
    const [first = 0] = this.#entries.keys();
    for (const entry of this.#entries.values()) {
      if (entry.id <= this.#sentTo) continue;
      if (entry.id - first >= window || !this.#deps.isOpen()) return;
      entry.sent = true;
      this.#sentTo = entry.id;
      this.#deps.send(entry.text);
    }
  }

  #bound(newest: Entry): void {
    const { messagesMax, bytesMax } = this.#deps;
    const waiting = [...this.#entries.values()].filter(({ sent }) => !sent);
    let count = waiting.length - messagesMax;
    let bytes = waiting.reduce((sum, entry) => sum + entry.bytes, -bytesMax);
    // What is too large by itself takes nobody with it.
    const victims = (newest.bytes > bytesMax ? [newest] : waiting).filter(isPlainAndWaits).filter((entry) => {
      const isOver = count > 0 || bytes > 0;
      if (isOver) [count, bytes] = [count - 1, bytes - entry.bytes];
      return isOver;
    });
    if (newest.waiter !== undefined && (count > 0 || bytes > 0)) {
      this.#entries.delete(newest.id);
      throw new RequestError(full);
    }
    for (const { id } of victims) this.#entries.delete(id);
    this.#tellDropped(victims, "full");
  }

  #tellDropped({ length: count }: readonly Entry[], reason: Dropped["reason"]): void {
    if (count > 0) this.#deps.onDropped({ count, reason });
  }
}

/** Whether it may be given up with nobody waiting for its reply. */
function isPlainAndWaits({ waiter, sent }: Entry): boolean {
  return waiter === undefined && !sent;
}
