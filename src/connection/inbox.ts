import { EnfiladeError } from "../errors.js";
import type { Message } from "../wire/message.js";

/** Whose messages they are; the connection. */
export interface InboxOwner {
  /** Called when the socket has to stop, and when it may go on. */
  onHold(held: boolean): void;
  /** Called when more bytes wait than may: the sender is a flood. */
  onFlooded(): void;
  /** Takes what a call was rejected with when it was not awaited any more. */
  onLateError(error: unknown): void;
}

interface Reader {
  /** Called with the subject, so that no function is made for each connection, and no call stands between. */
  readonly read: (subject: unknown, message: Message) => unknown;
  readonly subject: unknown;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Messages of one connection on their way to its reader: in order, one at a time, none dropped.
 *
 * Past the mark the socket is paused. What one chunk of the socket still held comes all the same, so the mark may be
 * passed by what fits into a chunk (64 KiB). Since that may be inflated to a thousand times as much, bytes are bounded too.
 */
export class Inbox {
  readonly #owner: InboxOwner;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #waiting: Message[] = [];
  #waitingBytes = 0;
  #reader: Reader | undefined;
  #taker: ((message: Message | undefined) => void) | undefined;
  #busy = false;
  #held = false;
  #ended = false;

  constructor(owner: InboxOwner, messagesMax: number, bytesMax: number) {
    this.#owner = owner;
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  push(message: Message): void {
    if (this.#ended) return;
    this.#waiting.push(message);
    this.#waitingBytes += message.bytes.length;
    if (this.#taker !== undefined) this.#give(this.#taker);
    else if (this.#reader !== undefined) this.#drain(this.#reader);
    if (!this.#held && this.#waiting.length >= this.#messagesMax) this.#hold(true);
    if (this.#waitingBytes > this.#bytesMax) this.#owner.onFlooded();
  }

  /** No more will come. What waits is still read. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#taker?.(undefined);
    this.#taker = undefined;
    if (this.#reader !== undefined) this.#drain(this.#reader);
  }

  /** Nothing reads any more: what waits is discarded, and pending reads learn that there is no more. */
  abandon(): void {
    this.discard();
    this.#reader?.done();
  }

  /** No more will come, and what waits is let go. */
  discard(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#release();
    this.end();
  }

  /**
   * The next message; `undefined` when no more will come.
   *
   * @throws EnfiladeError `ERR_READING` when somebody else reads already.
   */
  take(): Promise<Message | undefined> {
    if (this.#reader !== undefined) {
      return Promise.reject(reading("the library reads this connection for onJSON or onMessage; use serve() to read"));
    }
    if (this.#taker !== undefined) {
      return Promise.reject(reading("another read of this connection is not done; await it first"));
    }
    const message = this.#next();
    this.#release();
    if (message !== undefined || this.#ended) return Promise.resolve(message);
    return new Promise((resolve) => {
      this.#taker = resolve;
    });
  }

  /**
   * Calls `read` with `subject` and each message, the next when the promise of the last has settled.
   *
   * Resolves when no more will come and all were read; rejects with what `read` throws, and reads no further.
   */
  each<Subject>(read: (subject: Subject, message: Message) => unknown, subject: Subject): Promise<void> {
    return new Promise((done, failed) => {
      // The two belong together: `read` is only ever called with this subject.
      this.#reader = { read: read as Reader["read"], subject, done, failed };
      this.#drain(this.#reader);
    });
  }

  #drain(reader: Reader): void {
    while (!this.#busy) {
      const message = this.#next();
      if (message === undefined) break;
      this.#busy = true;
      try {
        const result = reader.read(reader.subject, message);
        if (isThenable(result)) this.#continueAfter(result, reader);
        else this.#busy = false;
      } catch (error) {
        // It stays busy: nothing is read after a failure.
        reader.failed(error);
      }
    }
    this.#release();
    if (this.#ended && !this.#busy) reader.done();
  }

  #continueAfter(result: PromiseLike<unknown>, reader: Reader): void {
    result.then(
      () => {
        this.#busy = false;
        this.#drain(reader);
      },
      (error) => {
        this.#owner.onLateError(error);
        reader.failed(error);
      },
    );
  }

  #give(taker: (message: Message | undefined) => void): void {
    this.#taker = undefined;
    taker(this.#next());
  }

  #next(): Message | undefined {
    const message = this.#waiting.shift();
    if (message !== undefined) this.#waitingBytes -= message.bytes.length;
    return message;
  }

  #release(): void {
    if (this.#held && this.#waiting.length <= this.#messagesMax / 2) this.#hold(false);
  }

  #hold(held: boolean): void {
    this.#held = held;
    this.#owner.onHold(held);
  }
}

function reading(message: string): EnfiladeError {
  return new EnfiladeError("ERR_READING", message);
}

/** Whether there is something to wait for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
