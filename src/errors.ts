/**
 * Stable codes of the errors that this library throws.
 *
 * They never change their meaning within a major version; the messages may.
 */
export type ErrorCode =
  /** A handler class implements none of `serve`, `onJSON`, `onMessage`. */
  | "ERR_NO_READER"
  /** A handler class was passed without a route, or one argument of a registration is not what it must be. */
  | "ERR_NO_ROUTE"
  /** A handler of events has none, or one that no method or more than one would answer. */
  | "ERR_EVENTS"
  /** A route pattern cannot be read, or cannot be turned into a path. */
  | "ERR_ROUTE_PATTERN"
  /** Two routes match the same paths, or bear the same name. */
  | "ERR_ROUTE_CONFLICT"
  /** No route bears this name. */
  | "ERR_ROUTE_UNKNOWN"
  /** An option or a limit is unknown, or its value is not of its kind. */
  | "ERR_OPTION"
  /** A path is no canonical room path. */
  | "ERR_PATH"
  /** A parameter for a path is missing or does not fit its pattern. */
  | "ERR_PARAMS"
  /** A value cannot be sent in this form. */
  | "ERR_VALUE"
  /** A close code that an application may not send, or a close reason that is no string. */
  | "ERR_CLOSE_CODE"
  /** A message is not JSON. */
  | "ERR_BAD_JSON"
  /** A text was to be read and binary data came. */
  | "ERR_NOT_TEXT"
  /** A value does not fit its schema. */
  | "ERR_SCHEMA"
  /** Messages of this connection are read by the library, or by another read at the same time. */
  | "ERR_READING"
  /** The handler has no connection yet, or none any more. */
  | "ERR_NOT_CONNECTED"
  /** No history is kept of this room, or it could not be read. */
  | "ERR_HISTORY"
  /** Presence is off in this room, or was asked for from outside. */
  | "ERR_PRESENCE"
  /** Nobody is in this room, so there is nothing that could be kept of it. */
  | "ERR_NO_ROOM"
  /** No more rooms on this node. */
  | "ERR_ROOMS_MAX"
  /** No more rooms for this connection. */
  | "ERR_JOINS_MAX"
  /** The other nodes cannot be reached now, or did not answer in time: a publication is refused, or nobody knows of it. */
  | "ERR_BACKPLANE"
  /** `authorize` returned what is no user, or one whose `id` is no string; or a message is for such a one. */
  | "ERR_USER"
  /** The app is closed, or listens already. */
  | "ERR_APP_STATE";

/** An error of this library, told apart by its `code`. */
export class EnfiladeError extends Error {
  override readonly name: string = "EnfiladeError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A place in a value that does not fit its schema. */
export interface MessageIssue {
  readonly path: string;
  readonly message: string;
}

/**
 * A message that arrived whole and is not what it should be.
 *
 * `code` is `ERR_BAD_JSON`, `ERR_NOT_TEXT` or `ERR_SCHEMA`; with the last, `issues` says where and why.
 */
export class MessageError extends EnfiladeError {
  override readonly name = "MessageError";

  constructor(
    code: "ERR_BAD_JSON" | "ERR_NOT_TEXT" | "ERR_SCHEMA",
    message: string,
    readonly issues: readonly MessageIssue[] = [],
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/**
 * A refusal with an HTTP status, thrown from `authorize`.
 *
 * The client gets `status`, `headers` and, as plain text, `message` (default: the standard phrase of the status).
 *
 * @throws RangeError when `status` is not between 300 and 599.
 */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly status: number,
    message = "",
    options: ErrorOptions & { headers?: Readonly<Record<string, string>> } = {},
  ) {
    if (!Number.isInteger(status) || status < 300 || status > 599) {
      throw new RangeError(`HttpError takes a status from 300 to 599, got ${String(status)}`);
    }
    super(message, options);
    this.headers = options.headers ?? {};
  }
}

/** How a connection ended. */
export interface CloseInfo {
  /** The close code of RFC 6455 7.4: 1005 when the peer gave none, 1006 when the connection broke. */
  readonly code: number;
  readonly reason: string;
  /** Whether the connection was closed in agreement: no failure, and the closing handshake done. */
  readonly clean: boolean;
  /** Who ended it; `network` when nobody said good-bye. */
  readonly by: "client" | "server" | "network";
}

/** What a read rejects with when the connection has ended, and what a reading method gets when it failed. */
export class ConnectionError extends Error implements CloseInfo {
  override readonly name = "ConnectionError";
  readonly code: number;
  readonly reason: string;
  readonly clean: boolean;
  readonly by: CloseInfo["by"];

  constructor({ code, reason, clean, by }: CloseInfo) {
    super(`the connection ended: ${code}${reason === "" ? "" : ` (${reason})`}, ended by the ${by}`);
    this.code = code;
    this.reason = reason;
    this.clean = clean;
    this.by = by;
  }
}

/** `value` as an `Error`: what is thrown need not be one. */
export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(`thrown: ${String(value)}`, { cause: value });
}
