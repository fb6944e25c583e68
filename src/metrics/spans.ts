import type { TracingChannel } from "node:diagnostics_channel";
import type { Clock } from "../connection/clock.js";
import type { Span } from "../diagnostics.js";
import type { Application } from "../handler/application.js";

interface AppSpan extends Span {
  readonly app: Application;
}

/**
 * Measures the spans of one app on a tracing channel, until the returned function is called.
 *
 * @param onDone Called when the call of a span has returned, or when the promise that it returned has settled.
 */
export function timeSpans<S extends AppSpan>(
  channel: TracingChannel<object, object>,
  app: Application,
  clock: Clock,
  onDone: (span: S, seconds: number) => void,
): () => void {
  const finish = (span: S) => {
    if (span.app === app) onDone(span, (clock.now() - span.begunAt) / 1_000);
  };
  const onEnd = (message: unknown) => {
    const span = spanOf<S>(message);
    // A call that returned a promise has neither yet.
    if ("result" in span || "error" in span) finish(span);
  };
  const onAsyncEnd = (message: unknown) => finish(spanOf<S>(message));
  channel.end.subscribe(onEnd);
  channel.asyncEnd.subscribe(onAsyncEnd);
  return () => {
    channel.end.unsubscribe(onEnd);
    channel.asyncEnd.unsubscribe(onAsyncEnd);
  };
}

/** Each channel has one type of span, but the types of Node have `unknown`. */
function spanOf<S>(message: unknown): S {
  return message as S;
}
