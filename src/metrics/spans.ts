import type { TracingChannel } from "node:diagnostics_channel";
import type { Clock } from "../connection/clock.js";
import type { Span } from "../diagnostics.js";
import type { Application } from "../handler/application.js";

/** When a span began, by the clock of its app. The span itself has it, so that no table of open spans is needed. */
const begunAt = Symbol("begunAt");

interface AppSpan extends Span {
  readonly app: Application;
  [begunAt]?: number;
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
  const onStart = (message: unknown) => {
    spanOf<S>(message)[begunAt] = clock.now();
  };
  const finish = (span: S) => {
    const begun = span[begunAt];
    if (span.app === app && begun !== undefined) onDone(span, (clock.now() - begun) / 1_000);
  };
  const onEnd = (message: unknown) => {
    const span = spanOf<S>(message);
    // A call that returned a promise has neither yet.
    if ("result" in span || "error" in span) finish(span);
  };
  const onAsyncEnd = (message: unknown) => finish(spanOf<S>(message));
  channel.start.subscribe(onStart);
  channel.end.subscribe(onEnd);
  channel.asyncEnd.subscribe(onAsyncEnd);
  return () => {
    channel.start.unsubscribe(onStart);
    channel.end.unsubscribe(onEnd);
    channel.asyncEnd.unsubscribe(onAsyncEnd);
  };
}

/** Each channel has one type of span, but the types of Node have `unknown`. */
function spanOf<S>(message: unknown): S {
  return message as S;
}
