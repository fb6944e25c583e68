import { traces } from "../diagnostics.js";
import { asError, type ConnectionError, EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { Message, Receipt } from "../wire/message.js";
import { nearest } from "../wire/options.js";
import type { AnyHandler } from "./handler.js";

/** For a text message that is not JSON: pass an `error` to the method, or `close` the connection with 1007. */
export type BadMessage = "error" | "close";

/** The connection that a message came on, and its handler. */
export interface ReadSession {
  readonly handler: AnyHandler;
  readonly member: Member;
  /** Calls a method of the handler if it exists; as a span if the tracing channel has subscribers. */
  call(method: string, args: readonly unknown[], event?: string): unknown;
  /** Calls a method of the handler as a span. Call this only while the tracing channel has subscribers. */
  trace(called: HandlerMethod, method: string, args: readonly unknown[], event?: string): unknown;
  /** Reports an error that a method threw, to the app and to the handler's `onError`. Never rejects. */
  report(thrown: unknown, method: string): Promise<void>;
  /** Logs a warning about the handler's class, once per kind and route; `text` follows the name of the class. */
  warn(kind: WarningKind, text: () => string): void;
}

/** A method of a handler, with any parameters. */
export type HandlerMethod = (...args: never[]) => unknown;

/** Kinds of warnings about the handlers of a route. */
export type WarningKind = "not JSON" | "event" | "unknown event" | "no Error" | `busy ${string}`;

/** The start of a warning; advice on how to keep the connection open follows. */
export const closedForJSON =
  "received a message that is not JSON, and closed the connection with 1007; to keep the connection open";

/** Handles one message of one connection. */
export type Read = (session: ReadSession, message: Message) => unknown;

/**
 * Called for each message before its handler: the argument of `app.intercept()`.
 *
 * ```ts
 * app.intercept(async (handler, message, next) => {
 *   if (await budget.allows(handler.id, message.bytes.length)) await next();
 * });
 * ```
 *
 * @param next Passes the message to the next interceptor or to the handler, and resolves when these have finished. Call
 *   it at most once. If it is not called, the message is dropped.
 */
export type Interceptor = (handler: AnyHandler, message: Message, next: () => PromiseLike<void>) => unknown;

/** Called with an error that an interceptor threw; the next message waits for the promise it may return. */
type OnThrown = (session: ReadSession, message: Message, thrown: unknown) => unknown;

/** How a class reads messages: chosen once, at registration, for all its connections. */
export interface Reader {
  readonly method: "serve" | "onJSON" | "onMessage";
  /** Reading methods that the class has and that are never called. */
  readonly ignored: readonly string[];
  /** Handles one message; for a class without `serve`. */
  readonly read: Read;
  /** As {@link read}, with interceptors around it. */
  intercepted(interceptors: readonly Interceptor[]): Read;
  /** Called when the connection failed; passes the error to the method if the method accepts errors. */
  onFailure(session: ReadSession, error: () => ConnectionError): unknown;
}

/** The part of a handler class that this file reads. */
export interface ReadingClass {
  readonly name: string;
  readonly prototype: AnyHandler;
}

/** The methods that read messages; a class reads with the first that it has. */
export const readingMethods = ["serve", "onJSON", "onMessage"] as const;

/** The other methods that the library calls. A client must not be able to call one by an event. */
export const hookNames: readonly string[] = [
  "onBinary",
  "authorize",
  "onConnect",
  "onClose",
  "onDrain",
  "onError",
  "authorizeJoin",
  "onRoomJoin",
  "onRoomLeave",
];

/**
 * The reader of a class: for the first of `serve`, `onJSON`, `onMessage` that the class has.
 *
 * @throws EnfiladeError `ERR_NO_READER` when it has none.
 */
export function readerOf({ name, prototype }: ReadingClass, badMessage: BadMessage): Reader {
  const [method, ...ignored] = readingMethods.filter((one) => typeof prototype[one] === "function");
  if (method === undefined) throw noReader(name || "a handler", prototype);
  const isGivenErrors = method !== "serve" && acceptsErrors(prototype[method]);
  const readText = method === "onJSON" ? jsonReader(prototype, badMessage, isGivenErrors) : textReader;
  const readBinary = binaryReader(prototype);
  return {
    method,
    ignored,
    read: dispatch(readText, readBinary),
    intercepted: (interceptors) => dispatch(intercept(readText, interceptors), intercept(readBinary, interceptors)),
    onFailure: (session, error) => (isGivenErrors ? session.call(method, [undefined, error()]) : undefined),
  };
}

function noReader(name: string, prototype: AnyHandler): EnfiladeError {
  const none = `${name} implements none of serve, onJSON, onMessage`;
  for (const own of Object.getOwnPropertyNames(prototype)) {
    const near = nearest(own, readingMethods, 1);
    if (near) return new EnfiladeError("ERR_NO_READER", `${none}; it has "${own}", did you mean "${near}"?`);
  }
  const advice = "as a method (a field with an arrow function does not exist before there is an instance)";
  return new EnfiladeError("ERR_NO_READER", `${none}; implement exactly one, ${advice}`);
}

/** Handles binary messages: calls `onBinary`, or closes the connection if the class has none. */
export function binaryReader(prototype: AnyHandler): Read {
  return prototype.onBinary === undefined ? refuseBinary : passBinary;
}

/** Passes text and binary messages to their readers. A message that the client sent twice is read once. */
export function dispatch(readText: Read, readBinary: Read): Read {
  return (session, message) => {
    const read = message.isText ? readText : readBinary;
    const receipt = message.origin?.receipt;
    if (receipt === undefined) return read(session, message);
    const begun = receipt.begin();
    if (begun === false) return undefined;
    const run = () => read(session, message);
    return begun === true ? readAndSettle(receipt, run) : readIfBegun(begun, receipt, run);
  };
}

async function readIfBegun(begun: Promise<boolean>, receipt: Receipt, run: () => unknown): Promise<void> {
  if (await begun) await readAndSettle(receipt, run);
}

/** `read` with interceptors around it, the first outermost. */
export function intercept(read: Read, interceptors: readonly Interceptor[], onThrown: OnThrown = rethrow): Read {
  const around = interceptors.reduceRight<Read>((inner, interceptor) => {
    return (session, message) => runInterceptor(interceptor, session, message, inner);
  }, read);
  return async (session, message) => {
    try {
      await around(session, message);
    } catch (thrown) {
      await onThrown(session, message, thrown);
    }
  };
}

const rethrow: OnThrown = (_session, _message, thrown) => {
  throw thrown;
};

const nextMisused = "next() was called twice, or after the interceptor had finished; call it once and await it";

/** Resolves when the interceptor and the reading that it started with `next()` have finished. */
async function runInterceptor(
  interceptor: Interceptor,
  session: ReadSession,
  message: Message,
  read: Read,
): Promise<void> {
  let canRead = true;
  let isAwaited = false;
  let reading: Promise<void> | undefined;
  const next = (): PromiseLike<void> => {
    if (!canRead) throw new EnfiladeError("ERR_READING", nextMisused);
    canRead = false;
    const promise = (async () => void (await read(session, message)))();
    reading = promise;
    // An interceptor may do other work before it awaits. The error is handled below, so it is no unhandled rejection.
    promise.catch(() => undefined);
    return {
      // biome-ignore lint/suspicious/noThenProperty: shows whether the interceptor awaits next() and gets its error
      then(onDone, onFailed) {
        isAwaited = true;
        return promise.then(onDone, onFailed);
      },
    };
  };
  try {
    await interceptor(session.handler, message, next);
  } catch (error) {
    // The error of the interceptor is the one to report. The next message still waits for this one.
    await reading?.catch(() => undefined);
    throw error;
  } finally {
    canRead = false;
  }
  if (isAwaited) await reading?.catch(() => undefined);
  else await reading;
}

async function readAndSettle(receipt: Receipt, run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    receipt.settle(true);
    throw error;
  }
  receipt.settle();
}

// The next three readers call the method directly, so that tracing costs no extra call while it is off.
const textReader: Read = (session, { text, origin }) => {
  if (origin?.event !== undefined) session.warn("event", unansweredEvent);
  const { handler } = session;
  if (!traces.handler.hasSubscribers) return handler.onMessage?.(text);
  return handler.onMessage && session.trace(handler.onMessage, "onMessage", [text]);
};

function jsonReader(prototype: AnyHandler, badMessage: BadMessage, isGivenErrors: boolean): Read {
  const isRefused = badMessage === "close" || (!isGivenErrors && prototype.onError === undefined);
  const isIgnored = isGivenErrors && prototype.onJSON?.length === 0;
  return (session, message) => {
    const { handler } = session;
    let value: unknown;
    if (message.origin?.event !== undefined) session.warn("event", unansweredEvent);
    try {
      value = message.json();
    } catch (thrown) {
      if (isRefused) return refuseJSON(session, badMessage, "the message is not JSON");
      if (isIgnored) session.warn("not JSON", ignoredError);
      const error = asError(thrown);
      return isGivenErrors ? session.call("onJSON", [undefined, error]) : session.call("onError", [error]);
    }
    if (!traces.handler.hasSubscribers) return handler.onJSON?.(value);
    return handler.onJSON && session.trace(handler.onJSON, "onJSON", [value]);
  };
}

const ignoredError = () =>
  "received a message that is not JSON, and its onJSON takes no error; implement onJSON(message, error)";

const unansweredEvent = () =>
  "received an event of a client (emit or request), and reads it as a message; to answer events, extend EventHandler";

/** Closes a connection for a message that cannot be read. */
export function refuseJSON(session: ReadSession, badMessage: BadMessage, reason: string): void {
  const advice =
    badMessage === "close" ? 'leave out badMessage: "close"' : "implement onJSON(message, error) or onError(error)";
  session.warn("not JSON", () => `${closedForJSON}, ${advice}`);
  session.member.close(CloseCode.invalidPayload, reason, false);
}

const passBinary: Read = (session, { bytes }) =>
  traces.handler.hasSubscribers ? session.call("onBinary", [bytes]) : session.handler.onBinary?.(bytes);

const refuseBinary: Read = ({ member }) => {
  member.close(CloseCode.unsupportedData, "binary messages are not read here", false);
};

/**
 * Whether a reading method gets errors: yes, unless it has exactly one parameter, the message.
 *
 * A method with one parameter would mistake the `undefined` before the error for a message.
 */
function acceptsErrors(method: ((...args: never[]) => unknown) | undefined): boolean {
  return method !== undefined && method.length !== 1;
}
