import type { Connection } from "../connection/connection.js";
import { asError, type CloseInfo, ConnectionError, MessageError } from "../errors.js";
import type { MemberConfig } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { Message, Receipt } from "../wire/message.js";
import { type AnyHandler, type HandlerContext, userId } from "./handler.js";
import type { Reader } from "./reader.js";
import { V1, type V1Config } from "./v1.js";

/** What the sessions of one route have in common. */
export interface SessionConfig extends V1Config {
  readonly reader: Reader;
  readonly terms: MemberConfig;
  /** Called when a connection is in its rooms, before any hook. */
  readonly entered: (connection: Connection) => void;
  /** Called when a connection has ended, and its last hook is done. */
  readonly left: (connection: Connection, ending: CloseInfo) => void;
  /** Takes what a hook threw. */
  readonly report: (error: Error, connection: Connection) => void;
}

interface Session extends SessionConfig {
  readonly handler: AnyHandler;
  readonly connection: Connection;
}

/** The life of one connection, from the 101 to the last hook. Resolves when all of it is over; never rejects. */
export async function runSession(
  handler: AnyHandler,
  context: HandlerContext,
  connection: Connection,
  config: SessionConfig,
): Promise<void> {
  const { registry, reader, entered, terms } = config;
  const v1 = connection.enveloped ? new V1({ ...config, handler, context, connection }) : undefined;
  if (v1 !== undefined) connection.speak(v1);
  const archive = registry.enter(connection, userId(context.user), terms, v1);
  entered(connection);
  try {
    if (archive !== undefined) await patience(connection, archive);
    v1?.watch();
    if (handler.onDrain !== undefined) connection.whenDrained(() => drained(handler, connection, config));
    const greeted = handler.onConnect?.();
    if (greeted instanceof Object) await patience(connection, greeted);
    if (reader.method !== "serve") await connection.each((message) => read(handler, connection, message, reader));
    else if (!connection.isDetached) await patience(connection, reader.serve(handler, connection));
    await patience(connection, endOf(handler, connection, reader));
    connection.finish();
  } catch (error) {
    await patience(connection, fail({ ...config, handler, connection }, error));
  } finally {
    connection.detachHandler((error) => void tell({ ...config, handler, connection }, error));
    context.leftRooms = registry.exit(connection);
    v1?.end();
  }
  const ending = await connection.ended;
  await guarded({ ...config, handler, connection }, () => handler.onClose?.(ending.code, ending.reason));
  config.left(connection, ending);
}

/** Has the handler read a message; one that may come more than once is run once, and answered. */
function read(handler: AnyHandler, connection: Connection, message: Message, reader: Reader): unknown {
  const receipt = message.origin?.receipt;
  if (receipt === undefined) return reader.read(handler, connection, message);
  return receipt.begin() ? settled(receipt, () => reader.read(handler, connection, message)) : undefined;
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

/**
 * Waits for what a handler does, as long as the connection has patience: until closeMs after its end.
 *
 * A handler that hangs must not keep its rooms; what it throws later is reported all the same.
 */
async function patience(connection: Connection, work: unknown): Promise<void> {
  const working = Promise.resolve(work);
  working.catch((error) => connection.onLateError(error));
  await Promise.race([working, connection.untilDetached]);
}

/** A connection that failed is told to the method that reads, while it is still in its rooms. */
async function endOf(handler: AnyHandler, connection: Connection, reader: Reader): Promise<void> {
  const { ending, isDetached } = connection;
  if (ending !== undefined && !ending.clean && !isDetached) await reader.failed(handler, new ConnectionError(ending));
}

function drained(handler: AnyHandler, connection: Connection, config: SessionConfig): void {
  const session = { ...config, handler, connection };
  void guarded(session, () => handler.onDrain?.());
}

/** Ends the connection for what a hook threw; nobody else notices. Never rejects. */
async function fail(session: Session, error: unknown): Promise<void> {
  const { connection } = session;
  if (error instanceof MessageError) {
    // A read that nobody caught: the client's fault, for the client to know, and not worth a line in our log.
    connection.end(CloseCode.invalidPayload, "the message is not valid", false);
    await callOnError(session, error);
  } else {
    // The client learns that it was our fault, and nothing more.
    connection.end(CloseCode.internalError, "internal error", false);
    await tell(session, error);
  }
}

async function guarded(session: Session, hook: () => unknown): Promise<void> {
  try {
    await hook();
  } catch (error) {
    await fail(session, error);
  }
}

async function tell(session: Session, thrown: unknown): Promise<void> {
  const error = asError(thrown);
  session.report(error, session.connection);
  await callOnError(session, error);
}

async function callOnError({ handler, connection, report }: Session, error: Error): Promise<void> {
  try {
    await handler.onError?.(error);
  } catch (second) {
    report(asError(second), connection);
  }
}
