import type { MessageIssue } from "../../errors.js";

/** The error that a client gets for an event that failed or was refused. */
export interface EventFailure {
  /** Such as `unknown_event`, `bad_data` or `internal`, or the `eventCode` of an `EventError`. */
  readonly code: string;
  /** A text for people. */
  readonly message: string;
  /** With `bad_data`: each part of the data that does not fit its schema. */
  readonly issues?: readonly MessageIssue[];
}

/** The answer to a client when the server failed: it has no details. */
export const internalFailure: EventFailure = { code: "internal", message: "internal error" };
