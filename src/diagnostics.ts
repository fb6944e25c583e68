import { channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";

/**
 * The channels on which all apps of this process publish, in the terms of Node's `diagnostics_channel`.
 *
 * A site looks at `hasSubscribers` first, and makes nothing and calls nothing when there are none.
 */
export const channels = {
  opened: channel("enfilade:connection:open"),
  closed: channel("enfilade:connection:close"),
  messageIn: channel("enfilade:message:in"),
  messageOut: channel("enfilade:message:out"),
  published: channel("enfilade:publish"),
  refused: channel("enfilade:refuse"),
  failed: channel("enfilade:error"),
} as const;

/** What takes time; Node names the channels of each `tracing:enfilade:handshake:start` and so on. */
export const traces = {
  handshake: tracingChannel<object, object>("enfilade:handshake"),
  handler: tracingChannel<object, object>("enfilade:handler"),
  publish: tracingChannel<object, object>("enfilade:publish"),
} as const;

/** Takes what connections report. A method is called only where its channel has subscribers. */
export interface PeerObserver<Peer, Message, Payload> {
  onMessageIn(peer: Peer, message: Message): void;
  /**
   * @param bytes How many the dialect made of it.
   * @param room The room or the tree that it was published to; `undefined` for any other message.
   */
  onMessageOut(peer: Peer, payload: Payload, bytes: number, room: string | undefined): void;
}

/** What came of a call: set when it has returned, or when the promise that it returned has settled. */
export interface Span {
  result?: unknown;
  error?: unknown;
}

/**
 * Runs `call` as a span, as `TracingChannel.tracePromise` of Node does. What is no promise stays none, so that a method is
 * waited for no longer than without a trace. To be called only where the channel has subscribers.
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
      // A thenable may do its work anew each time that it is waited for.
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
