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
  /** The handler of a connection does not let it join a room; see `authorizeJoin`. */
  | "ERR_JOIN_REFUSED"
  /** The other nodes cannot be reached now, or did not answer in time: a publication is refused, or nobody knows of it. */
  | "ERR_BACKPLANE"
  /** `authorize` returned what is no user, or one whose `id` is neither a string nor a finite number; or a message is for such a one. */
  | "ERR_USER"
  /** The app is closed, or listens already. */
  | "ERR_APP_STATE"
  /** The connection has ended; see `ConnectionError`. */
  | "ERR_CONNECTION"
  /** A request is refused with an HTTP status; see `HttpError`. */
  | "ERR_HTTP"
  /** An event is refused; see `EventError`. */
  | "ERR_EVENT"
  /** A client answered a request with an error; see `RequestError`. */
  | "ERR_REQUEST"
  /** A client did not answer a request in time. */
  | "ERR_REQUEST_TIMEOUT"
  /** No more requests to this client before it answers one. */
  | "ERR_REQUESTS_MAX"
  /** A client cannot answer requests. */
  | "ERR_NO_REQUESTS";

/** An error of this library; its `code` says which. All others extend it. */
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
export class HttpError extends EnfiladeError {
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
    super("ERR_HTTP", message, options);
    this.headers = options.headers ?? {};
  }
}

/** How a connection ended. */
export interface CloseInfo {
  /** The close code of RFC 6455 7.4: 1005 when the peer gave none, 1006 when the connection broke. */
  readonly code: number;
  readonly reason: string;
  /** Whether both sides agreed on the close: no failure, and the closing handshake done. */
  readonly isClean: boolean;
  /** Who ended it; `network` when neither side closed it. */
  readonly by: "client" | "server" | "network";
}

/** The connection has ended: what a read rejects with, and what a reading method gets when the connection failed. */
export class ConnectionError extends EnfiladeError {
  override readonly name = "ConnectionError";
  /** See {@link CloseInfo.code}. */
  readonly closeCode: number;
  readonly closeReason: string;
  readonly isClean: boolean;
  readonly by: CloseInfo["by"];

  constructor({ code, reason, isClean, by }: CloseInfo) {
    super("ERR_CONNECTION", `the connection ended: ${code}${reason === "" ? "" : ` (${reason})`}, ended by the ${by}`);
    this.closeCode = code;
    this.closeReason = reason;
    this.isClean = isClean;
    this.by = by;
  }
}

/**
 * Thrown by an event's method to refuse: the client is answered with `eventCode` and `message`, and nothing else happens.
 *
 * `code` is `ERR_EVENT`, as that of every error of this library is a constant.
 */
export class EventError extends EnfiladeError {
  override readonly name = "EventError";

  /** @param eventCode The `code` of the error that the client gets, such as `name_taken`. */
  constructor(
    readonly eventCode: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super("ERR_EVENT", message, options);
  }
}

/**
 * Why a request to a client has no reply: see `Connection.sendRequest`.
 *
 * `code` is `ERR_REQUEST` when the client answered with an error, whose `code` is `eventCode` and whose `message` is this one.
 */
export class RequestError extends EnfiladeError {
  override readonly name = "RequestError";

  /** @param eventCode What the client says, such as `unknown_event`; only with `ERR_REQUEST`. */
  constructor(
    code: "ERR_REQUEST" | "ERR_REQUEST_TIMEOUT" | "ERR_REQUESTS_MAX" | "ERR_NO_REQUESTS",
    message: string,
    readonly eventCode?: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** `value` as an `Error`: what is thrown need not be one. */
export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(`thrown: ${describeThrown(value)}`, { cause: value });
}

/** The same, where it is known what threw it: without a stack, that is all that says where. */
export function asErrorOf(thrower: string, value: unknown): Error {
  return value instanceof Error ? value : new Error(`${thrower} threw ${describeThrown(value)}`, { cause: value });
}

const describedMax = 200;

/** Never throws: an object may have no form as a text. */
function describeThrown(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, describedMax);
  } catch {
    return `a value of type ${typeof value}`;
  }
}
