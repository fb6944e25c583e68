import type { Connection } from "../connection/connection.js";

/** What happens in an app. A listener that throws harms nobody; what it threw is logged. */
export interface AppEvents {
  /** A connection was opened, and is in its room. */
  open: [connection: Connection];
  /** A connection has ended, and its last hook is done. */
  close: [connection: Connection, code: number, reason: string];
  /** Something that nobody else was told of. Without a listener it is logged. */
  error: [error: Error, connection: Connection | undefined];
}

/** The names of all of them, as the type checks. */
export const appEvents: Readonly<Record<keyof AppEvents, true>> = { open: true, close: true, error: true };
