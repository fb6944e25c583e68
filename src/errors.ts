/**
 * The stable codes of the errors that this library throws; see {@link EnfiladeError}.
 *
 * A code keeps its meaning within a major version. Messages may change.
 */
export type ErrorCode =
  /** A handler class implements none of `serve`, `onJSON` and `onMessage`. */
  | "ERR_NO_READER"
  /** A handler class has no route, or an argument of a registration has the wrong type. */
  | "ERR_NO_ROUTE"
  /** An `EventHandler` declares no event, or an event that no method, or more than one method, answers. */
  | "ERR_EVENTS"
  /** A route pattern has a syntax error, or no path can be made from it. */
  | "ERR_ROUTE_PATTERN"
  /** Two routes match the same paths, or have the same name. */
  | "ERR_ROUTE_CONFLICT"
  /** No route has this name. */
  | "ERR_ROUTE_UNKNOWN"
  /** An option, a limit or an event name is unknown, or its value is invalid. */
  | "ERR_OPTION"
  /** A string is not a valid room path. */
  | "ERR_PATH"
  /** A path parameter is missing or does not fit its pattern. */
  | "ERR_PARAMS"
  /** A value cannot be sent in this form, such as a cyclic object as JSON. */
  | "ERR_VALUE"
  /** An application may not send this close code, or the close reason is not a string. */
  | "ERR_CLOSE_CODE"
  /** A message is not JSON. */
  | "ERR_BAD_JSON"
  /** A text message was expected, but a binary message was received. */
  | "ERR_NOT_TEXT"
  /** A value does not fit its schema. */
  | "ERR_SCHEMA"
  /** In development: what a handler sends does not fit its contract, or the contract does not send this event. */
  | "ERR_CONTRACT"
  /** Something else reads this connection already, or an interceptor called `next()` twice or too late. */
  | "ERR_READING"
  /** The handler is not connected yet, or no longer. */
  | "ERR_NOT_CONNECTED"
  /** This room keeps no history, or its history could not be read. */
  | "ERR_HISTORY"
  /** Presence is off in this room, or the connection is not in this room. */
  | "ERR_PRESENCE"
  /** The room has no members on this node, so it has no state. */
  | "ERR_NO_ROOM"
  /** This node has `roomsMax` rooms. */
  | "ERR_ROOMS_MAX"
  /** This connection is in `joinsMax` rooms. */
  | "ERR_JOINS_MAX"
  /** `authorizeJoin` of the handler refused the join. */
  | "ERR_JOIN_REFUSED"
  /** The engine that connects the nodes is unreachable or did not answer in time; the call may still have succeeded. */
  | "ERR_BACKPLANE"
  /** `authorize` returned an invalid user, or the `id` of a user is neither a string nor a finite number. */
  | "ERR_USER"
  /** The app is in the wrong state, such as closed, or listening already. */
  | "ERR_APP_STATE"
  /** The connection has ended; see {@link ConnectionError}. */
  | "ERR_CONNECTION"
  /** The request is refused with an HTTP status; see {@link HttpError}. */
  | "ERR_HTTP"
  /** The event is refused; see {@link EventError}. */
  | "ERR_EVENT"
  /** The client answered a request with an error; see {@link RequestError}. */
  | "ERR_REQUEST"
  /** The client did not answer a request in time. */
  | "ERR_REQUEST_TIMEOUT"
  /** `requestsMax` requests to this client have no reply yet. */
  | "ERR_REQUESTS_MAX"
  /** The client does not speak `enfilade.v1` and cannot answer requests. */
  | "ERR_NO_REQUESTS";

/** An error of this library, with a stable `code`. All other error classes extend it. */
export class EnfiladeError extends Error {
  override readonly name: string = "EnfiladeError";

  constructor(
    /** The kind of the error; see {@link ErrorCode}. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** One part of a value that does not fit its schema. */
export interface MessageIssue {
  /** The keys that lead to the part, joined with dots, such as `items.0.price`; `""` for the whole value. */
  readonly path: string;
  /** The message of the schema library. */
  readonly message: string;
}

/**
 * A received message is not valid: not JSON, not text, or it does not fit its schema.
 *
 * Reads such as `connection.readJSON()` and `message.json()` throw it. `onJSON` receives it as its second argument; the
 * connection stays open. `code` is `ERR_BAD_JSON`, `ERR_NOT_TEXT` or `ERR_SCHEMA`.
 */
export class MessageError extends EnfiladeError {
  override readonly name = "MessageError";

  constructor(
    code: "ERR_BAD_JSON" | "ERR_NOT_TEXT" | "ERR_SCHEMA",
    message: string,
    /** With `ERR_SCHEMA`, each part that does not fit; else empty. */
    readonly issues: readonly MessageIssue[] = [],
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/**
 * Refuses a client with an HTTP status, when thrown from `authorize`.
 *
 * ```ts
 * throw new HttpError(401);
 * throw new HttpError(429, "too many logins", { headers: { "Retry-After": "60" } });
 * ```
 *
 * The client gets `status`, `headers` and, as plain text, `message`; by default, the standard phrase of the status. A
 * client of `enfilade.v1` gets the close code 4501 for 401 and 403, and 4504 for 404, since a page cannot read a
 * status.
 *
 * @throws RangeError when `status` is not an integer from 300 to 599.
 */
export class HttpError extends EnfiladeError {
  override readonly name = "HttpError";
  /** Headers of the response. Default: none. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    /** The HTTP status of the response, from 300 to 599. */
    readonly status: number,
    message = "",
    options: ErrorOptions & { headers?: Readonly<Record<string, string>> } = {},
  ) {
    if (!Number.isInteger(status) || status < 300 || status > 599) {
      const came = typeof status === "string" ? `the text "${status}"` : String(status);
      throw new RangeError(`HttpError takes a status from 300 to 599, got ${came}`);
    }
    super("ERR_HTTP", message, options);
    this.headers = options.headers ?? {};
  }
}

/** How a connection ended. */
export interface CloseInfo {
  /** The close code (RFC 6455 7.4): 1005 when the client closed without a code, 1006 when the connection broke. */
  readonly code: number;
  /** The close reason; `""` when there is none. */
  readonly reason: string;
  /** `true` if there was no failure and the closing handshake was completed. */
  readonly isClean: boolean;
  /** The side that ended the connection; `network` when neither side closed it. */
  readonly by: "client" | "server" | "network";
}

/**
 * The connection has ended.
 *
 * Reads reject with it. If the connection failed, `onJSON` and `onMessage` receive it as their second argument.
 * `code` is `ERR_CONNECTION`; the close code is in `closeCode`.
 */
export class ConnectionError extends EnfiladeError {
  override readonly name = "ConnectionError";
  /** See {@link CloseInfo.code}. */
  readonly closeCode: number;
  /** See {@link CloseInfo.reason}. */
  readonly closeReason: string;
  /** See {@link CloseInfo.isClean}. */
  readonly isClean: boolean;
  /** See {@link CloseInfo.by}. */
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
 * Refuses an event, when thrown from the method that answers it. The client gets `eventCode` and `message`.
 *
 * ```ts
 * throw new EventError("name_taken", "this name is in use");
 * ```
 *
 * The connection stays open, and the error is not reported to `onError`. `code` is `ERR_EVENT`.
 */
export class EventError extends EnfiladeError {
  override readonly name = "EventError";

  constructor(
    /** The `code` of the error that the client gets, such as `name_taken`. */
    readonly eventCode: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super("ERR_EVENT", message, options);
  }
}

/**
 * A request to a client failed; see `connection.sendRequest()`.
 *
 * `code` is `ERR_REQUEST` when the client answered with an error: `eventCode` and `message` then come from the client.
 * The other codes are `ERR_REQUEST_TIMEOUT`, `ERR_REQUESTS_MAX` and `ERR_NO_REQUESTS`.
 */
export class RequestError extends EnfiladeError {
  override readonly name = "RequestError";

  constructor(
    code: "ERR_REQUEST" | "ERR_REQUEST_TIMEOUT" | "ERR_REQUESTS_MAX" | "ERR_NO_REQUESTS",
    message: string,
    /** The `code` that the client answered, such as `unknown_event`; set only with `ERR_REQUEST`. */
    readonly eventCode?: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** As `instanceof`, for a thrown value. Never throws, as `instanceof` does for a revoked proxy. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** Returns `value` itself if it is an `Error`; else an `Error` that has `value` as its cause. Never throws. */
export function asError(value: unknown): Error {
  if (isInstance(value, Error)) return value;
  return new Error(`a value that is not an Error was thrown: ${describeValue(value)}`, { cause: value });
}

/** As {@link asError}; the message names the `thrower`, since a value without a stack does not show it. */
export function asErrorOf(thrower: string, value: unknown): Error {
  if (isInstance(value, Error)) return value;
  return new Error(`${thrower} threw ${describeValue(value)}`, { cause: value });
}

const describedLengthMax = 200;

/** A short text for any value. Never throws, even if neither JSON nor `String` can convert the value. */
export function describeValue(value: unknown): string {
  try {
    // Its text is the source.
    if (typeof value === "function") return `the function ${value.name || "without a name"}`;
    return (JSON.stringify(value) ?? String(value)).slice(0, describedLengthMax);
  } catch {
    return `a value of type ${typeof value}`;
  }
}
