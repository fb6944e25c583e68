import type { Connection } from "../../connection/connection.js";
import type { RefusalReason } from "../../connection/transport.js";
import type { Position } from "../../wire/position.js";
import type { OutgoingContent, PublicationTarget, RefusedRequest } from "./messages.js";

interface TimedEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
}

interface IncomingEntry extends TimedEntry {
  readonly direction: "in";
  readonly connection: Connection;
  /** A string for a text message, else a copy of the bytes. */
  readonly data: string | Uint8Array;
}

interface OutgoingEntry extends TimedEntry, OutgoingContent {
  readonly direction: "out";
  readonly connection: Connection;
  /** The room or the tree it was published to; `undefined` for other messages. */
  readonly room: string | undefined;
}

interface PublishedEntry extends TimedEntry, OutgoingContent {
  readonly direction: "publish";
  readonly to: PublicationTarget;
  /** True if the history of the room keeps it. */
  readonly kept: boolean;
  /** The position in that history; `undefined` if it is not kept. */
  readonly position: Position | undefined;
}

interface LifecycleEntry extends TimedEntry {
  readonly direction: "lifecycle";
}

interface OpenedEntry extends LifecycleEntry {
  readonly type: "open";
  readonly connection: Connection;
}

interface ClosedEntry extends LifecycleEntry {
  readonly type: "close";
  readonly connection: Connection;
  readonly code: number;
  readonly reason: string;
}

interface RefusedEntry extends LifecycleEntry {
  readonly type: "refuse";
  readonly request: RefusedRequest;
  /** The HTTP status of the refusal. */
  readonly status: number;
  readonly reason: RefusalReason;
}

interface ErrorEntry extends LifecycleEntry {
  readonly type: "error";
  readonly error: Error;
  readonly connection: Connection | undefined;
}

/**
 * One message or event that a tap found. `direction` is the kind: `"in"` from a client, `"out"` to a client,
 * `"publish"` of this node, or `"lifecycle"` with a `type` of `"open"`, `"close"`, `"refuse"` or `"error"`.
 */
export type TapEntry =
  | IncomingEntry
  | OutgoingEntry
  | PublishedEntry
  | OpenedEntry
  | ClosedEntry
  | RefusedEntry
  | ErrorEntry;
