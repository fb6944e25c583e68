import type { Connection } from "../connection/connection.js";
import { asError, ConnectionError, EnfiladeError } from "../errors.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { Message } from "../wire/message.js";
import type { AnyHandler } from "./handler.js";

/** How a class whose messages are not simply JSON has them decoded for `onJSON`. */
export interface Decoder {
  /** With `binary`, binary messages are decoded too. */
  readonly format: "json" | "text" | "binary";
  decode(message: Message): unknown;
}

const json: Decoder = { format: "json", decode: (message) => message.json() };

/** What is done with a message that is not JSON: the method is called with the error, or the connection closes 1007. */
export type BadMessage = "call" | "close";

/** Does with one message of one connection what the class says. */
type Read = (handler: AnyHandler, connection: Connection, message: Message) => unknown;

/** How a class reads: settled once, at registration, for all its connections. */
export interface Reader {
  readonly method: "serve" | "onJSON" | "onMessage";
  /** Methods that the class has and that are not called. */
  readonly ignored: readonly string[];
  /** Runs `serve`; for a class that has it. */
  serve(handler: AnyHandler, connection: Connection): Promise<void>;
  /** Handles one message; for a class without `serve`. */
  readonly read: Read;
  /** Tells the method that the connection failed, if it takes errors. */
  failed(handler: AnyHandler, error: ConnectionError): unknown;
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
export function readerOf({ name, prototype }: ReadingClass, badMessage: BadMessage, decoder = json): Reader {
  const [method, ...ignored] = methods.filter((one) => typeof prototype[one] === "function");
  if (method === undefined) {
    throw new EnfiladeError(
      "ERR_NO_READER",
      `${name || "a handler"} implements none of serve, onJSON, onMessage; implement exactly one, ` +
        "as a method (a field that holds an arrow function is not seen before there is an instance)",
    );
  }
  const told = method !== "serve" && takesErrors(prototype[method]);
  const readText = method === "onJSON" ? decodingReader(prototype, decoder, badMessage, told) : textReader;
  const readBytes = prototype.onBinary === undefined ? refuseBinary : passBinary;
  const readBinary = decoder.format === "binary" ? readText : readBytes;
  return {
    ...{ method, ignored, serve },
    read: (handler, connection, message) => (message.isText ? readText : readBinary)(handler, connection, message),
    failed: (handler, error) => (told ? handler[method]?.(undefined, error) : undefined),
  };
}

const hooks = ["serve", "onJSON", "onMessage", "onBinary", "authorize", "onConnect", "onClose", "onDrain", "onError"];
/** What other libraries, and another English, call them. */
const aliases = new Map([
  ["authorise", "authorize"],
  ["authenticate", "authorize"],
  ["ondisconnect", "onClose"],
]);

/** Methods of a class that look like a hook and are none: what they mean to do, and above all to forbid, is not done. */
export function misspelledHooks(handlerClass: object): { readonly name: string; readonly hook: string }[] {
  const names = new Set<string>();
  // The class a handler extends has the hooks themselves as types only, so nothing of it is named here.
  const prototype: object | null = Reflect.get(handlerClass, "prototype");
  for (let at = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  const misspelled = [...names].flatMap((name) => {
    const lower = name.toLowerCase();
    const hook = hooks.find((one) => one.toLowerCase() === lower) ?? aliases.get(lower);
    return hook === undefined || hook === name ? [] : { name, hook };
  });
  const isStatic = typeof Reflect.get(handlerClass, "authorize") === "function";
  return isStatic ? [...misspelled, { name: "static authorize", hook: "authorize" }] : misspelled;
}

async function serve(handler: AnyHandler, connection: Connection): Promise<void> {
  try {
    await handler.serve?.();
  } catch (error) {
    // Reading on after the end is how a loop learns of it, not a fault.
    if (!(error instanceof ConnectionError && connection.ending !== undefined)) throw error;
  }
}

const textReader: Read = (handler, _connection, { text }) => handler.onMessage?.(text);

function decodingReader(prototype: AnyHandler, decoder: Decoder, badMessage: BadMessage, told: boolean): Read {
  const refuses = badMessage === "close" || (!told && prototype.onError === undefined);
  return (handler, connection, message) => {
    let value: unknown;
    try {
      // To one who reads JSON, an event of a subprotocol is the JSON that it is.
      value = (decoder === json ? undefined : message.origin?.event) ?? decoder.decode(message);
    } catch (thrown) {
      const error = asError(thrown);
      const phrase = decoder === json ? "the message is not JSON" : "the message is not valid";
      if (refuses) return connection.end(CloseCode.invalidPayload, phrase, false);
      return told ? handler.onJSON?.(undefined, error) : handler.onError?.(error);
    }
    return handler.onJSON?.(value);
  };
}

const passBinary: Read = (handler, _connection, { bytes }) => handler.onBinary?.(bytes);

const refuseBinary: Read = (_handler, connection) => {
  connection.end(CloseCode.unsupportedData, "binary messages are not read here", false);
};

/**
 * Whether a reading method is told of errors: unless it says that it takes the message alone.
 *
 * Such a method would take the `undefined` that comes with an error for a message, and send it on.
 */
function takesErrors(method: ((...args: never[]) => unknown) | undefined): boolean {
  return method !== undefined && method.length !== 1;
}
