import { type Clock, within } from "../connection/clock.js";
import type { Connection } from "../connection/connection.js";
import { asError } from "../errors.js";
import type { Entry, Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { AnyHandler, HandlerContext } from "./handler.js";
import type { BadMessage, Reader } from "./reader.js";

export interface SessionParts {
  readonly handler: AnyHandler;
  readonly context: HandlerContext;
  readonly connection: Connection;
  readonly reader: Reader;
  readonly badMessage: BadMessage;
  readonly entry: Entry;
  readonly registry: Registry;
  readonly clock: Clock;
  /** How long a handler may go on with what it reads after the connection has ended, before it has to leave. */
  readonly closeMs: number;
  /** Called when the connection is in its rooms, before any hook. */
  readonly entered: () => void;
  /** Takes what a hook threw. */
  readonly report: (error: Error, connection: Connection) => void;
}

/** The life of one connection, from the 101 to the last hook. Resolves when all of it is over; never rejects. */
export async function runSession(parts: SessionParts): Promise<void> {
  const { handler, context, connection, registry, clock, closeMs } = parts;
  registry.enter(connection, parts.entry);
  if (handler.onDrain !== undefined) {
    connection.onDrained(() => void hook(() => handler.onDrain?.()).catch((error) => fail(parts, error)));
  }
  parts.entered();
  const life = live(parts).catch((error) => fail(parts, error));
  // A handler that hangs must not keep its rooms: when the connection has ended, it has closeMs to finish.
  await Promise.race([life, connection.ended.then(() => within(clock, closeMs, life))]);
  connection.abandon();
  context.leftRooms = registry.exit(connection);
  const { code, reason } = await connection.ended;
  await guarded(parts, () => handler.onClose?.(code, reason));
}

/** The promise of a hook, also of one that throws at once. */
async function hook(call: () => unknown): Promise<void> {
  await call();
}

async function live({ handler, connection, reader, badMessage }: SessionParts): Promise<void> {
  await handler.onConnect?.();
  if (!connection.abandoned) await reader.read(handler, connection, badMessage);
  connection.finish();
}

/** Ends the one connection whose hook threw; its client learns that it was our fault, and nothing more. */
function fail(parts: SessionParts, error: unknown): Promise<void> {
  parts.connection.end(CloseCode.internalError, "internal error", false);
  return tell(parts, error);
}

async function guarded(parts: SessionParts, hook: () => unknown): Promise<void> {
  try {
    await hook();
  } catch (error) {
    await tell(parts, error);
  }
}

async function tell({ handler, connection, report }: SessionParts, thrown: unknown): Promise<void> {
  const error = asError(thrown);
  report(error, connection);
  try {
    await handler.onError?.(error);
  } catch (second) {
    report(asError(second), connection);
  }
}
