import { EnfiladeError, type MessageIssue } from "../errors.js";
import type { EventFailure } from "../wire/events/protocol.js";
import type { StateDetail } from "./connection/reconnector.js";
import { printable } from "./log.js";

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

/**
 * Why a room has no connection: the server refused it, it cannot be reached, or one side closed the room for good.
 *
 * `code` is `ERR_CONNECTION`.
 */
export class ConnectError extends EnfiladeError {
  override readonly name = "ConnectError";
  /** 1006 where there was no connection. */
  readonly closeCode: number | undefined;
  /** The HTTP status, where the WebSocket tells it (`ws` does), or that the close code stands for: 401 for 4501, 404 for 4504. */
  readonly status: number | undefined;

  constructor({ code, reason = "", status }: StateDetail) {
    super("ERR_CONNECTION", `no connection: ${code} ${printable(reason)}`);
    this.closeCode = code;
    this.status = status;
  }
}

/** `value` as an `Error`: what is thrown need not be one. */
export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error("thrown: no Error", { cause: value });
}
