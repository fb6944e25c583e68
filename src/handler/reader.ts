import type { Connection } from "../connection/connection.js";
import { asError, ConnectionError, EnfiladeError } from "../errors.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { Message } from "../wire/message.js";
import type { AnyHandler } from "./handler.js";

/** What is done with a message that is not JSON: the method is called with the error, or the connection closes 1007. */
export type BadMessage = "call" | "close";

/** How a class reads: which of the three methods, chosen once, at registration. */
export interface Reader {
  readonly method: "serve" | "onJSON" | "onMessage";
  /** Methods that the class has and that are not called. */
  readonly ignored: readonly string[];
  /** Reads until the connection ends; rejects with what the handler throws. */
  read(handler: AnyHandler, connection: Connection, badMessage: BadMessage): Promise<void>;
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
export function readerOf(handlerClass: ReadingClass): Reader {
  const [method, ...ignored] = methods.filter((name) => typeof handlerClass.prototype[name] === "function");
  if (method === undefined) {
    throw new EnfiladeError(
      "ERR_NO_READER",
      `${handlerClass.name || "a handler"} implements none of serve, onJSON, onMessage; implement exactly one, ` +
        "as a method (a field that holds an arrow function is not seen before there is an instance)",
    );
  }
  return { method, ignored, read: method === "serve" ? serve : method === "onJSON" ? readJSON : readText };
}

async function serve(handler: AnyHandler, connection: Connection): Promise<void> {
  try {
    await handler.serve?.();
  } catch (error) {
    // Reading on after the end is how a loop learns of it, not a fault.
    if (!(error instanceof ConnectionError && connection.ending !== undefined)) throw error;
  }
}

function readText(handler: AnyHandler, connection: Connection): Promise<void> {
  const binary = binaryReader(handler, connection);
  const told = takesErrors(handler.onMessage);
  const read = (message: Message) => (message.isText ? handler.onMessage?.(message.text) : binary(message));
  return readEach(connection, read, (error) => (told ? handler.onMessage?.(undefined, error) : undefined));
}

function readJSON(handler: AnyHandler, connection: Connection, badMessage: BadMessage): Promise<void> {
  const binary = binaryReader(handler, connection);
  const told = takesErrors(handler.onJSON);
  const refuse = () => connection.end(CloseCode.invalidPayload, "the message is not JSON", false);
  const unreadable =
    badMessage === "close"
      ? refuse
      : told
        ? (error: Error) => handler.onJSON?.(undefined, error)
        : handler.onError === undefined
          ? refuse
          : (error: Error) => handler.onError?.(error);
  const read = (message: Message) => {
    if (!message.isText) return binary(message);
    let value: unknown;
    try {
      value = message.json();
    } catch (error) {
      return unreadable(asError(error));
    }
    return handler.onJSON?.(value);
  };
  return readEach(connection, read, (error) => (told ? handler.onJSON?.(undefined, error) : undefined));
}

async function readEach(
  connection: Connection,
  read: (message: Message) => unknown,
  failed: (error: ConnectionError) => unknown,
): Promise<void> {
  await connection.each(read);
  const { ending } = connection;
  if (ending !== undefined && !ending.clean && !connection.abandoned) await failed(new ConnectionError(ending));
}

function binaryReader(handler: AnyHandler, connection: Connection): (message: Message) => unknown {
  if (handler.onBinary !== undefined) return ({ bytes }) => handler.onBinary?.(bytes);
  return () => connection.end(CloseCode.unsupportedData, "binary messages are not read here", false);
}

/**
 * Whether a reading method is told of errors: unless it says that it takes the message alone.
 *
 * Such a method would take the `undefined` that comes with an error for a message, and send it on.
 */
function takesErrors(method: ((...args: never[]) => unknown) | undefined): boolean {
  return method !== undefined && method.length !== 1;
}
