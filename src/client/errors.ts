import { EnfiladeError, type MessageIssue } from "../errors.js";
import type { EventFailure } from "../wire/events/protocol.js";
import type { StateDetail } from "./connection/reconnector.js";
import { printable } from "./log.js";

/**
 * The server refused a request, an event or a message, or there was no reply.
 *
 * `code` is one of the server: `unknown_event`, `bad_data`, `bad_json`, `bad_message`, `not_member`, `duplicate` (the
 * reply is no longer stored), `internal`, or that of an `EventError`. Or it is one of this client: `timeout` (no reply
 * within `timeoutMs`), `queue_full` (no connection, and too many messages wait already) or `closed` (the room is
 * closed).
 */
export class RequestError extends Error {
  override readonly name = "RequestError";
  /** The reason, such as `bad_data` or `timeout`. */
  declare readonly code: string;
  /** The places where the data does not match its schema, with `bad_data`; else empty. */
  declare readonly issues: readonly MessageIssue[];

  constructor({ code, message, issues = [] }: EventFailure) {
    super(message);
    this.code = code;
    this.issues = issues;
  }
}

/**
 * A room has no connection: the server refused it or cannot be reached, or the room was closed.
 *
 * `code` is `ERR_CONNECTION`.
 */
export class ConnectError extends EnfiladeError {
  override readonly name = "ConnectError";
  /** The close code of the last connection; 1006 if no connection was opened. */
  declare readonly closeCode: number | undefined;
  /**
   * The HTTP status of a refusal: 401 for the close code 4501, 404 for 4504, or the status itself, which the WebSocket
   * of `ws` reports and those of browsers and Node do not. Else `undefined`.
   */
  declare readonly status: number | undefined;

  constructor({ code, reason = "", status }: StateDetail) {
    super("ERR_CONNECTION", `no connection: ${code} ${printable(reason)}`.trim());
    this.closeCode = code;
    this.status = status;
  }
}

/** Returns `value`, or an `Error` with it as the cause if it is not an `Error`. */
export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error("thrown: no Error", { cause: value });
}
