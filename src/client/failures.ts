import { notAttempted } from "./connection/attempt.js";
import type { ClientState, StateDetail } from "./connection/reconnector.js";
import { ConnectError } from "./errors.js";

/**
 * Reports the states of a room that are failures; equal ones in a row once. The returned function is called for each
 * state; `wasOpen` is true if the room was connected before.
 */
export function failures(
  report: (error: ConnectError) => void,
): (state: ClientState, detail: StateDetail, wasOpen: boolean) => void {
  /** The status, or before the first welcome the reason, of the last failed attempt; or the code of the rejection. */
  let last: number | string | undefined;
  return (state, detail, wasOpen) => {
    const { status, code = 0, reason } = detail;
    // A server that was never reached is an error, since the URL may be wrong. A broken connection is restored.
    const isUnreachable = state === "waiting" && !wasOpen && reason !== notAttempted;
    // Only the end of a connection has a status, known or not. 1000 and 3000–3999 are the application's.
    const isRejected = state === "closed" && "status" in detail && (code > 4000 || (code > 1000 && code < 3000));
    const failure = status ?? (isUnreachable ? reason || code : isRejected ? code : 0);
    if (failure && failure !== last) report(new ConnectError(detail));
    if (failure || state === "open") last = failure;
  };
}
