import type { Connection } from "../../connection/connection.js";
import type { Position } from "../../wire/position.js";
import type { OutgoingContent, PublicationTarget, RefusedRequest } from "./messages.js";

interface At {
  /** Milliseconds since 1970. */
  readonly time: number;
}

interface Incoming extends At {
  readonly direction: "in";
  readonly connection: Connection;
  readonly data: string | Uint8Array;
}

interface Outgoing extends At, OutgoingContent {
  readonly direction: "out";
  readonly connection: Connection;
  /** The room or the tree that it was published to. */
  readonly room: string | undefined;
}

interface Published extends At, OutgoingContent {
  readonly direction: "publish";
  readonly to: PublicationTarget;
  readonly kept: boolean;
  readonly position: Position | undefined;
}

interface Lifecycle extends At {
  readonly direction: "lifecycle";
}

interface Opened extends Lifecycle {
  readonly type: "open";
  readonly connection: Connection;
}

interface Closed extends Lifecycle {
  readonly type: "close";
  readonly connection: Connection;
  readonly code: number;
  readonly reason: string;
}

interface Refused extends Lifecycle {
  readonly type: "refuse";
  readonly request: RefusedRequest;
  readonly status: number;
}

interface Failed extends Lifecycle {
  readonly type: "error";
  readonly error: Error;
  readonly connection: Connection | undefined;
}

/** One thing that a tap found. */
export type TapEntry = Incoming | Outgoing | Published | Opened | Closed | Refused | Failed;
