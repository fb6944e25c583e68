import { traces } from "../diagnostics.js";
import { asError, type ConnectionError, EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { Message, Receipt } from "../wire/message.js";
import type { AnyHandler } from "./handler.js";

/** What is done with a message that is not JSON: the method is called with the error, or the connection closes with 1007. */
export type BadMessage = "error" | "close";

/** The connection that a message came on, and its handler. */
export interface ReadSession {
  readonly handler: AnyHandler;
  readonly member: Member;
  /** Calls a method of the handler, if it has it; as a span if the channel has subscribers. */
  call(method: string, args: readonly unknown[], event?: string): unknown;
  /** Reports what a method threw, to the app and to the handler. Never rejects. */
  report(thrown: unknown, method: string): Promise<void>;
  /** Logs what the class of the handler did or got, once for its kind and route. */
  warn(kind: WarningKind, what: string): void;
}

/** Kinds of warnings about the handlers of a route. */
export type WarningKind = "not JSON" | "no Error" | `busy ${string}`;

/** Begins a warning that says how the client is kept. */
export const closedForJSON =
  "received a message that is not JSON, and closed the connection with 1007; to keep such a client";

/** Does with one message of one connection what the class says. */
export type Read = (session: ReadSession, message: Message) => unknown;

/**
 * Called for each message before its handler reads it.
 *
 * @param next Has the message read, by the next interceptor or the handler; to be called once, or not at all: then it is dropped.
 */
export type Interceptor = (handler: AnyHandler, message: Message, next: () => PromiseLike<void>) => unknown;

/** What is done about what an interceptor threw; returns what is to be waited for. */
type OnThrown = (session: ReadSession, message: Message, thrown: unknown) => unknown;

/** How a class reads: decided once, at registration, for all its connections. */
export interface Reader {
  readonly method: "serve" | "onJSON" | "onMessage";
  /** Methods that the class has and that are not called. */
  readonly ignored: readonly string[];
  /** Handles one message; for a class without `serve`. */
  readonly read: Read;
  /** The same for connections whose messages are intercepted. */
  intercepted(interceptors: readonly Interceptor[]): Read;
  /** Tells the method that the connection failed, if it takes errors. */
  failed(session: ReadSession, error: ConnectionError): unknown;
}

/** The part of a handler class that is looked at. */
export interface ReadingClass {
  readonly name: string;
  readonly prototype: AnyHandler;
}

const methods = ["serve", "onJSON", "onMessage"] as const;

/**
 * How `handlerClass` reads: the first of `serve`, `onJSON`, `onMessage` that it has.
 *
 * @throws EnfiladeError `ERR_NO_READER` when it has none.
 */
export function readerOf({ name, prototype }: ReadingClass, badMessage: BadMessage): Reader {
  const [method, ...ignored] = methods.filter((one) => typeof prototype[one] === "function");
  if (method === undefined) {
    throw new EnfiladeError(
      "ERR_NO_READER",
      `${name || "a handler"} implements none of serve, onJSON, onMessage; implement exactly one, ` +
        "as a method (a field that holds an arrow function is not seen before there is an instance)",
    );
  }
  const takesError = method !== "serve" && takesErrors(prototype[method]);
  const readText = method === "onJSON" ? jsonReader(prototype, badMessage, takesError) : textReader;
  const readBinary = binaryReader(prototype);
  return {
    ...{ method, ignored },
    read: dispatch(readText, readBinary),
    intercepted: (interceptors) => dispatch(intercept(readText, interceptors), intercept(readBinary, interceptors)),
    failed: (session, error) => (takesError ? session.call(method, [undefined, error]) : undefined),
  };
}

/** What is done with a binary message of a class. */
export function binaryReader(prototype: AnyHandler): Read {
  return prototype.onBinary === undefined ? refuseBinary : passBinary;
}

/** Reads text and binary messages each in its way, and one that may come more than once only once. */
export function dispatch(readText: Read, readBinary: Read): Read {
  return (session, message) => {
    const read = message.isText ? readText : readBinary;
    const receipt = message.origin?.receipt;
    if (receipt === undefined) return read(session, message);
    return receipt.begin() ? settled(receipt, () => read(session, message)) : undefined;
  };
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

/** Resolves when the interceptor is done, and what it had read too. */
async function runInterceptor(
  interceptor: Interceptor,
  session: ReadSession,
  message: Message,
  read: Read,
): Promise<void> {
  let mayRead = true;
  let isAwaited = false;
  let reading: Promise<void> | undefined;
  const next = (): PromiseLike<void> => {
    if (!mayRead) throw new EnfiladeError("ERR_READING", "next() is called once, before the interceptor is done");
    mayRead = false;
    const promise = (async () => void (await read(session, message)))();
    reading = promise;
    // An interceptor may do other work before it waits: the error is seen below, whenever it comes.
    promise.catch(() => undefined);
    return {
      // biome-ignore lint/suspicious/noThenProperty: an error goes to the interceptor if it awaits next(), else it is reported
      then(onDone, onFailed) {
        isAwaited = true;
        return promise.then(onDone, onFailed);
      },
    };
  };
  try {
    await interceptor(session.handler, message, next);
  } catch (error) {
    // Reported is what the interceptor threw; the next message still waits for this one.
    await reading?.catch(() => undefined);
    throw error;
  } finally {
    mayRead = false;
  }
  if (isAwaited) await reading?.catch(() => undefined);
  else await reading;
}

async function settled(receipt: Receipt, run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    receipt.settle(true);
    throw error;
  }
  receipt.settle();
}

// The three that follow call the method themselves, so that tracing costs no call while it is off.
const textReader: Read = (session, { text }) =>
  traces.handler.hasSubscribers ? session.call("onMessage", [text]) : session.handler.onMessage?.(text);

function jsonReader(prototype: AnyHandler, badMessage: BadMessage, takesError: boolean): Read {
  const refuses = badMessage === "close" || (!takesError && prototype.onError === undefined);
  const isUnseen = takesError && prototype.onJSON?.length === 0;
  return (session, message) => {
    const { handler } = session;
    let value: unknown;
    try {
      value = message.json();
    } catch (thrown) {
      if (refuses) return refuseJSON(session, badMessage, "the message is not JSON");
      if (isUnseen) session.warn("not JSON", unseenError);
      const error = asError(thrown);
      return takesError ? session.call("onJSON", [undefined, error]) : session.call("onError", [error]);
    }
    return traces.handler.hasSubscribers ? session.call("onJSON", [value]) : handler.onJSON?.(value);
  };
}

const unseenError =
  "received a message that is not JSON, and its onJSON takes no error; implement onJSON(message, error)";

/** Closes a connection for a message that cannot be read. */
export function refuseJSON(session: ReadSession, badMessage: BadMessage, reason: string): void {
  const way =
    badMessage === "close" ? 'leave out badMessage: "close"' : "implement onJSON(message, error) or onError(error)";
  session.warn("not JSON", `${closedForJSON}, ${way}`);
  session.member.close(CloseCode.invalidPayload, reason, false);
}

const passBinary: Read = (session, { bytes }) =>
  traces.handler.hasSubscribers ? session.call("onBinary", [bytes]) : session.handler.onBinary?.(bytes);

const refuseBinary: Read = ({ member }) => {
  member.close(CloseCode.unsupportedData, "binary messages are not read here", false);
};

/**
 * Whether a reading method takes errors: unless it says that it takes the message alone.
 *
 * Such a method would take the `undefined` that comes with an error for a message, and send it on.
 */
function takesErrors(method: ((...args: never[]) => unknown) | undefined): boolean {
  return method !== undefined && method.length !== 1;
}
