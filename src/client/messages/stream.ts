import type { Clock } from "../../connection/clock.js";
import { EnfiladeError } from "../../errors.js";
import { checkNames } from "../../wire/options.js";
import { lostStream, streamKeyPattern, streamWindow, streamWindowMax } from "../../wire/stream.js";
import { RequestError } from "../errors.js";
import type { SendQueue } from "./sendQueue.js";

/** Options of {@link ClientRoom.stream}. */
export interface StreamOptions {
  /** Ends the stream when it is aborted: the loop throws the reason of the signal, and the generator is returned. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Names the stream for a page that is loaded again: the same key, of the same user in the same room, continues it.
   * Chosen at random: 16 to 64 letters, digits, `-` or `_`, such as `crypto.randomUUID()`. Default: none.
   */
  readonly key?: string | undefined;
  /** With `key`: the number of values that were read before, on the page that was left. Default: 0. */
  readonly from?: number | undefined;
  /** Values that the server may send before the loop has read them, from 1 to 1,024. Default: 256. */
  readonly readAhead?: number | undefined;
}

/** Milliseconds without a value after which those that were read are acknowledged. */
const idleMs = 100;

/** Sends an event on the first read, and yields the values of the reply. Its return value is the end of the stream. */
export function stream(
  queue: SendQueue,
  clock: Clock,
  frame: object,
  options: StreamOptions,
): AsyncGenerator<unknown, unknown, undefined> {
  checkNames("stream()", options, ["signal", "key", "from", "readAhead"]);
  const { key, from = 0, readAhead = streamWindow } = options;
  const isKey = key === undefined ? !from : streamKeyPattern.test(key);
  const areWhole = readAhead % 1 === 0 && from % 1 === 0;
  if (!(isKey && areWhole && from >= 0 && readAhead > 0 && readAhead <= streamWindowMax)) {
    throw new EnfiladeError(
      "ERR_OPTION",
      `from takes a count, with a key of 16 to 64 letters, readAhead 1 to 1,024; got ${from}, ${key}, ${readAhead}`,
    );
  }
  return read(queue, clock, frame, options, from, readAhead);
}

async function* read(
  queue: SendQueue,
  clock: Clock,
  event: object,
  { signal, key }: StreamOptions,
  from: number,
  window: number,
): AsyncGenerator<unknown, unknown, undefined> {
  const items: unknown[] = [];
  /** The number of the next item to be received, of the next to be read, and of the first not acknowledged. */
  let [next, unread, unacknowledged] = [from, from, from];
  let end: { readonly error: unknown; readonly reply?: unknown } | undefined;
  let isAnswered = false;
  let wake = (): void => undefined;
  const frame = () => ({ ...event, key, from: next, read: unread, window });
  /** Sends a frame about the stream, on the connection that the stream was asked for on. */
  const control = (type: string) => {
    const { id, connection } = entry;
    if (!connection?.hasEnded) connection?.send(JSON.stringify({ type, id, seq: unread }));
  };
  const acknowledge = () => {
    control("ack");
    unacknowledged = unread;
  };
  const finish = (error: unknown, reply?: unknown) => {
    end ??= { error, reply };
    wake();
  };
  const abort = () => {
    items.length = 0;
    finish(signal?.reason);
  };
  signal?.throwIfAborted();
  const entry: ReturnType<SendQueue["push"]> = queue.push(
    frame(),
    (error, reply, count = next) => {
      isAnswered = error?.code !== "closed";
      // The room is about to close its connection.
      if (!isAnswered) control("cancel");
      finish(count === next ? error : new RequestError(lostStream), reply);
    },
    {
      again: () => JSON.stringify({ ...frame(), id: entry.id }),
      onItem({ seq, data }) {
        // An item that was sent again after it was received is skipped.
        if (end || seq !== next) return;
        next += 1;
        items.push(data);
        wake();
      },
    },
  );
  signal?.addEventListener("abort", abort);
  try {
    for (;;) {
      if (items.length) {
        yield items.shift();
        unread += 1;
        if (unread - unacknowledged >= window / 2 || (isAnswered && !items.length)) {
          acknowledge();
        }
      } else if (end) {
        if (end.error) throw end.error;
        return end.reply;
      } else {
        // Until then, the server may have no memory for another value: large ones fill it before half of the window.
        const timer = unread > unacknowledged ? clock.setTimeout(acknowledge, idleMs) : undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        timer?.cancel();
      }
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    if (!isAnswered || items.length) control("cancel");
    queue.withdraw(entry.id);
  }
}
