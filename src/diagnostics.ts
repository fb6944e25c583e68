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

/** Whether messages to this connection are reported: to the subscribers of the channel, or to a tap that may match. */
export function isReported({ isTapped }: { readonly isTapped: boolean }): boolean {
  return isTapped || channels.messageOut.hasSubscribers;
}

/** Receives the messages of connections: all while the channel has subscribers, else those of tapped connections. */
export interface PeerObserver<Peer, Message, Payload> {
  onMessageIn(peer: Peer, message: Message): void;
  /**
   * @param bytes The number of bytes that the dialect encoded.
   * @param room The room or the tree that the message was published to; `undefined` for any other message.
   */
  onMessageOut(peer: Peer, payload: Payload, bytes: number, room: string | undefined): void;
}

/** A call with its outcome: set when the call has returned, or when the promise that it returned has settled. */
export interface Span {
  /** When the call began, in milliseconds by the clock of the app; without a clock of its own, `performance.now()`. */
  readonly begunAt: number;
  /** The return value, or the value that the promise was resolved with. */
  result?: unknown;
  /** The value that was thrown, or that the promise was rejected with. */
  error?: unknown;
}

/**
 * Calls `method` of `owner` as a span, as `TracingChannel.tracePromise` of Node does. A synchronous result stays
 * synchronous, so that tracing does not delay the caller. Call this only while the channel has subscribers.
 */
export function trace<T>(
  tracing: TracingChannel<object, object>,
  span: Span,
  method: (...args: never[]) => T,
  owner: object | undefined,
  args: readonly unknown[],
): T {
  // Without a subscriber of the start there is also no store, and a plain call costs less.
  if (!tracing.start.hasSubscribers) return run(tracing, span, method, owner, args);
  return tracing.start.runStores(span, run<T>, undefined, tracing, span, method, owner, args);
}

function run<T>(
  tracing: TracingChannel<object, object>,
  span: Span,
  method: (...args: never[]) => T,
  owner: object | undefined,
  args: readonly unknown[],
): T {
  try {
    const called: T = Reflect.apply(method, owner, args);
    if (isThenable(called)) return settled(tracing, span, called);
    span.result = called;
    return called;
  } catch (thrown) {
    span.error = thrown;
    tracing.error.publish(span);
    throw thrown;
  } finally {
    tracing.end.publish(span);
  }
}

/** Returns `called`, whose outcome ends the span. */
function settled<T>({ asyncStart, asyncEnd, error }: TracingChannel<object, object>, span: Span, called: T): T {
  const settle = () => {
    asyncStart.publish(span);
    asyncEnd.publish(span);
  };
  // A thenable may repeat its work on each call of then(); converted to a promise, it is called once.
  const result = called instanceof Promise ? called : Promise.resolve(called);
  result.then(
    (value: unknown) => {
      span.result = value;
      settle();
    },
    (thrown: unknown) => {
      span.error = thrown;
      error.publish(span);
      settle();
    },
  );
  // A promise in place of the thenable has the same outcome.
  return result as T;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
