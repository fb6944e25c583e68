import type { MessageIssue } from "../errors.js";
import type { EventFailure } from "../wire/events/protocol.js";

/**
 * Why a request, an event or a message was not done.
 *
 * `code` is the server's (`unknown_event`, `bad_data`, `internal`, that of an `EventError`, …), or of this side: `timeout` (no reply within
 * `timeoutMs`), `queue_full` (not connected, and too much waits already) and `closed` (the room is closed).
 */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly code: string;
  /** Where the data does not fit its schema, with `bad_data`; else empty. */
  readonly issues: readonly MessageIssue[];

  constructor({ code, message, issues = [] }: EventFailure) {
    super(message);
    this.code = code;
    this.issues = issues;
  }
}

/** `value` as an `Error`: what is thrown need not be one. */
export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error("thrown: no Error", { cause: value });
}
