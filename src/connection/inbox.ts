import { EnfiladeError } from "../errors.js";
import type { Message } from "../wire/message.js";
import type { PeerLimits } from "./limits.js";
import type { IncomingMemory, PausedInbox } from "./memory/incoming.js";
import type { RateLimit } from "./rate/rateLimit.js";

/** The connection of an inbox. */
export interface InboxOwner {
  /** Called with `true` to pause the socket, and with `false` to resume it. */
  onHold(isPaused: boolean): void;
  /** Called when more bytes wait than are allowed. */
  onFlooded(): void;
  /** Receives the rejection of a reader's call; it matters only if the reader is not awaited any more. */
  onLateError(error: unknown): void;
}

/** Whom the messages are read for. */
export interface InboxReader {
  /** All messages were read, and no more will arrive. Called once, unless `onReadingFailed` is. */
  onReadingDone(): void;
  /** Reading a message failed; nothing is read after that. */
  onReadingFailed(error: unknown): void;
}

/** Reads one message for `reader`. */
export type ReadMessage<Reader> = (reader: Reader, message: Message) => unknown;

type InboxLimits = Pick<PeerLimits, "inboxMessagesMax" | "messageBytesMax">;

/** The memory of a waiting message, in addition to the buffer that it is in. */
const waitingBytes = 500;
/** The list of all inboxes in which nothing has waited yet. */
const noMessages: Message[] = [];

/**
 * The received messages of one connection that wait for its reader: in order, one at a time, none dropped.
 *
 * At `inboxMessagesMax` the socket is paused. The rest of the chunk that was read last (up to 64 KiB) still arrives, so
 * the count may exceed the limit. Compressed, a chunk may hold a thousand times as much, so bytes are limited as well.
 * Above the rate of the connection, messages wait as if the reader were busy.
 *
 * A message that waits is counted with the buffer that it is in: messages that were read in one chunk share a buffer.
 */
export class Inbox implements PausedInbox {
  readonly #owner: InboxOwner;
  readonly #limits: InboxLimits;
  /** `undefined` for an inbox that no server has to count. */
  readonly #memory: IncomingMemory | undefined;
  readonly #rate: RateLimit | undefined;
  #waiting: Message[] = noMessages;
  #waitingBytes = 0;
  /** How many of the waiting messages are counted: the first ones, since a message that is read at once is not. */
  #heldCount = 0;
  #heldBytes = 0;
  /** The bytes of the message that the reader has. They are held until it has finished with it. */
  #handedBytes = 0;
  /** Called with `#reader`, so that connections can share one function and need no closure. */
  #read: ReadMessage<InboxReader> | undefined;
  #reader: InboxReader | undefined;
  #resolveTake: ((message: Message | undefined) => void) | undefined;
  #arrivedCount = 0;
  #isBusy = false;
  #isPaused = false;
  #hasEnded = false;

  constructor(
    owner: InboxOwner,
    limits: InboxLimits,
    { memory, rate }: { readonly memory?: IncomingMemory | undefined; readonly rate?: RateLimit | undefined } = {},
  ) {
    this.#owner = owner;
    this.#limits = limits;
    this.#memory = memory;
    this.#rate = rate;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** How many messages have arrived. */
  get count(): number {
    return this.#arrivedCount;
  }

  push(message: Message): void {
    if (this.#hasEnded) return;
    this.#arrivedCount += 1;
    const reader = this.#reader;
    if (reader !== undefined && !this.#isBusy && this.#waiting.length === 0 && this.#rate?.isExceeded !== true) {
      // As if it had waited, without the list.
      this.#rate?.count(message.size);
      this.#handle(reader, message);
      if (this.#isOver && !this.#isBusy) this.#finishReading();
    } else {
      this.#keep(message);
    }
  }

  /** The message has to wait, unless a read waits for it. */
  #keep(message: Message): void {
    if (this.#waiting === noMessages) this.#waiting = [];
    this.#waiting.push(message);
    this.#waitingBytes += message.size;
    this.proceed();
    if (this.#waiting.length > 0) this.#holdLast(message);
    const { inboxMessagesMax, messageBytesMax } = this.#limits;
    if (!this.#isPaused && this.#waiting.length >= inboxMessagesMax) this.#setPaused(true);
    if (this.#waitingBytes > inboxMessagesMax * messageBytesMax) this.#owner.onFlooded();
  }

  /** Hands over waiting messages, if there is a reader that is not busy and the rate allows it. */
  proceed(): void {
    if (this.#resolveTake !== undefined) this.#give(this.#resolveTake);
    else if (this.#reader !== undefined) this.#drain(this.#reader);
  }

  /** No more messages will arrive. Waiting messages are still read. */
  end(): void {
    this.#hasEnded = true;
    this.proceed();
  }

  /** The reader has finished: discards waiting messages, and ends pending reads. */
  abandon(): void {
    this.discard();
    this.#hand(0);
    this.#finishReading();
  }

  /** No more messages will arrive, and waiting messages are discarded. */
  discard(): void {
    this.#waiting = noMessages;
    this.#waitingBytes = 0;
    this.#heldCount = 0;
    this.#count(-this.#heldBytes);
    this.resumeIfLow();
    this.end();
  }

  /**
   * Takes the next message; `undefined` when no more will arrive.
   *
   * @throws EnfiladeError (as a rejection) `ERR_READING` after `readBy`, or while another `take` waits.
   */
  take(): Promise<Message | undefined> {
    if (this.#read !== undefined) {
      return Promise.reject(
        readingError("the library reads this connection for onJSON or onMessage; implement serve() to read yourself"),
      );
    }
    if (this.#resolveTake !== undefined) {
      return Promise.reject(readingError("another read of this connection is still pending; await it first"));
    }
    const message = this.#next();
    this.#hand(message?.size ?? 0);
    this.resumeIfLow();
    if (message !== undefined || this.#isOver) return Promise.resolve(message);
    return new Promise((resolve) => {
      this.#resolveTake = resolve;
    });
  }

  /** As {@link take}, without messages that were read before. A message with a receipt then counts as handled. */
  async takeUnread(): Promise<Message | undefined> {
    for (;;) {
      const message = await this.take();
      const receipt = message?.origin?.receipt;
      if (receipt === undefined) return message;
      const begun = receipt.begin();
      if (begun === false || (begun !== true && !(await begun))) continue;
      receipt.settle();
      return message;
    }
  }

  /**
   * From now on, calls `read` with `reader` and each message. If it returns a promise, the next call waits for it.
   */
  readBy<Reader extends InboxReader>(read: ReadMessage<Reader>, reader: Reader): void {
    // The cast is safe: `read` is called with this reader only.
    this.#read = read as ReadMessage<InboxReader>;
    this.#reader = reader;
    this.#drain(reader);
  }

  #drain(reader: InboxReader): void {
    while (!this.#isBusy) {
      const message = this.#next();
      if (message === undefined) break;
      this.#handle(reader, message);
    }
    this.resumeIfLow();
    if (this.#isOver && !this.#isBusy) this.#finishReading();
  }

  #handle(reader: InboxReader, message: Message): void {
    this.#isBusy = true;
    try {
      const result = this.#read?.(reader, message);
      if (isThenable(result)) this.#continueAfter(result, message.size);
      else this.#isBusy = false;
    } catch (error) {
      this.#failReading(error);
    }
  }

  #continueAfter(result: PromiseLike<unknown>, bytes: number): void {
    this.#hand(bytes);
    result.then(
      () => {
        this.#hand(0);
        this.#isBusy = false;
        if (this.#reader !== undefined) this.#drain(this.#reader);
      },
      (error) => {
        this.#owner.onLateError(error);
        this.#failReading(error);
      },
    );
  }

  /** `#isBusy` stays true: nothing is read after a failure. */
  #failReading(error: unknown): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.onReadingFailed(error);
  }

  #finishReading(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.onReadingDone();
  }

  #give(resolve: (message: Message | undefined) => void): void {
    const message = this.#next();
    if (message === undefined && !this.#isOver) return;
    this.#resolveTake = undefined;
    this.#hand(message?.size ?? 0);
    resolve(message);
  }

  get #isOver(): boolean {
    return this.#hasEnded && this.#waiting.length === 0;
  }

  #next(): Message | undefined {
    if (this.#rate?.isExceeded === true) return undefined;
    const message = this.#waiting.shift();
    if (message === undefined) return undefined;
    this.#waitingBytes -= message.size;
    if (this.#heldCount > 0) this.#release(message);
    this.#rate?.count(message.size);
    return message;
  }

  resumeIfLow(): void {
    if (!this.#isPaused || this.#waiting.length > this.#limits.inboxMessagesMax / 2) return;
    if (this.#waiting.length > 0 && this.#memory?.isFull === true) this.#memory.pause(this);
    else this.#setPaused(false);
  }

  /** The message that was pushed last has to wait. */
  #holdLast(message: Message): void {
    if (this.#memory === undefined) return;
    // Decoded data may take twenty times as much memory as its text.
    if (message.origin?.event !== undefined) message.origin.event = null;
    const { buffer } = message;
    const isShared = this.#waiting.at(-2)?.buffer === buffer;
    this.#heldCount += 1;
    this.#count(waitingBytes + (isShared ? 0 : buffer.byteLength));
    if (this.#isPaused || !this.#memory.isFull) return;
    this.#memory.pause(this);
    this.#setPaused(true);
  }

  /** A message that was held no longer waits. */
  #release({ buffer }: Message): void {
    this.#heldCount -= 1;
    const isShared = this.#heldCount > 0 && this.#waiting[0]?.buffer === buffer;
    this.#count(-waitingBytes - (isShared ? 0 : buffer.byteLength));
  }

  /** Counts the message that the reader has, in place of the one before. */
  #hand(bytes: number): void {
    const change = bytes - this.#handedBytes;
    this.#handedBytes = bytes;
    if (change !== 0) this.#memory?.add(change);
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes;
    this.#memory?.add(bytes);
  }

  #setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    if (!isPaused) this.#memory?.forget(this);
    this.#owner.onHold(isPaused);
  }
}

function readingError(message: string): EnfiladeError {
  return new EnfiladeError("ERR_READING", message);
}

/** Whether `value` is a promise, or another object that can be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
