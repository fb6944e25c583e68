import { channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";

/**
 * The channels of Node's `diagnostics_channel` on which all apps of this process publish.
 *
 * Code that publishes checks `hasSubscribers` first, so a channel without subscribers costs only that check.
 */
export const channels = {
  opened: channel("enfilade:connection:open"),
  closed: channel("enfilade:connection:close"),
  messageIn: channel("enfilade:message:in"),
  messageOut: channel("enfilade:message:out"),
  published: channel("enfilade:publish"),
  refused: channel("enfilade:refuse"),
  resumed: channel("enfilade:resume"),
  failed: channel("enfilade:error"),
} as const;

/** Operations with a duration. Node derives the channel names, such as `tracing:enfilade:handshake:start`. */
export const traces = {
  handshake: tracingChannel<object, object>("enfilade:handshake"),
  handler: tracingChannel<object, object>("enfilade:handler"),
  publish: tracingChannel<object, object>("enfilade:publish"),
} as const;

/** Receives the messages of connections. A method is called only while its channel has subscribers. */
export interface PeerObserver<Peer, Message, Payload> {
  onMessageIn(peer: Peer, message: Message): void;
  /**
   * @param bytes The number of bytes that the dialect encoded.
   * @param room The room or the tree that the message was published to; `undefined` for any other message.
   */
  onMessageOut(peer: Peer, payload: Payload, bytes: number, room: string | undefined): void;
}

/** The outcome of a call: set when the call has returned, or when the promise that it returned has settled. */
export interface Span {
  /** The return value, or the value that the promise was resolved with. */
  result?: unknown;
  /** The value that was thrown, or that the promise was rejected with. */
  error?: unknown;
}

/**
 * Runs `call` as a span, as `TracingChannel.tracePromise` of Node does. A synchronous result stays synchronous, so that
 * tracing does not delay the caller. Call this only while the channel has subscribers.
 */
export function trace<T>(tracing: TracingChannel<object, object>, span: Span, call: () => T): T {
  const { start, end, asyncStart, asyncEnd, error } = tracing;
  const settle = () => {
    asyncStart.publish(span);
    asyncEnd.publish(span);
  };
  const fail = (thrown: unknown) => {
    span.error = thrown;
    error.publish(span);
  };
  const run = () => {
    try {
      const called = call();
      // A thenable may repeat its work on each call of then(); converted to a promise, it is called once.
      const result = isThenable(called) && !(called instanceof Promise) ? (Promise.resolve(called) as T) : called;
      if (isThenable(result)) {
        result.then(
          (value) => {
            span.result = value;
            settle();
          },
          (thrown) => {
            fail(thrown);
            settle();
          },
        );
      } else {
        span.result = result;
      }
      return result;
    } catch (thrown) {
      fail(thrown);
      throw thrown;
    } finally {
      end.publish(span);
    }
  };
  return start.runStores(span, run);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
