import type { EventFailure } from "./events/protocol.js";
import type { Position } from "./position.js";

/** The subprotocol that PROTOCOL.md describes. */
export const v1 = "enfilade.v1";
/** The subprotocol of a socket with many rooms; see PROTOCOL.md. */
export const v1Rooms = "enfilade.v1.rooms";
/** The prefix of a token among the subprotocols that a client offers. */
export const tokenPrefix = "enfilade.token.";
/** The prefix of the secret of a client among the subprotocols that it offers. */
export const secretPrefix = "enfilade.secret.";

/** The id of a frame that is answered by a reply with the same id. */
export type FrameId = string | number;

/** Why a connection could not resume at its `since`; see the field `reason` of `welcome` in PROTOCOL.md. */
export type ResumeFailure = "epoch" | "trimmed" | "limit" | "invalid" | "off";

/** A user in a room; all connections of the user count as one entry. */
export interface PresentUser {
  /** The id of the user; for an anonymous client, the id of its connection. */
  readonly id: string;
  /** The result of `show` of the route, such as `{ name: "Ann" }`; missing if the route has no `show`. */
  readonly user?: unknown;
  /** How many connections the user has in the room; 0 for a user who has just left and may return. */
  readonly connections: number;
}

/** The first frame on each connection. */
export interface WelcomeFrame {
  readonly type: "welcome";
  /** The id of the connection. */
  readonly id: string;
  /** The canonical path of the home, the room of the URL's path. */
  readonly room: string;
  /** Proves on the next connection that it is of the same client; missing for a client without an id. */
  readonly secret?: string;
  readonly position?: Position;
  readonly recovered?: boolean;
  readonly reason?: ResumeFailure;
  readonly missed?: number;
  readonly heartbeatMs: number;
}

/** At most one of `data`, `text` and `base64` is set. */
export interface MessageFrame {
  readonly type: "message";
  readonly offset?: number;
  readonly room?: string;
  /** With `room`: as `offset`, for a room that the connection joined besides its home. */
  readonly roomOffset?: number;
  readonly data?: unknown;
  readonly text?: string;
  readonly base64?: string;
}

/** Answers a frame that had an `id`. */
export interface ReplyFrame<Id extends FrameId = FrameId> {
  readonly type: "reply";
  readonly id: Id;
  readonly data?: unknown;
  readonly error?: EventFailure;
  /** At the end of a stream: the number of its values. */
  readonly seq?: number;
}

/** A value of a streamed reply. */
export interface ItemFrame<Id extends FrameId = FrameId> {
  readonly type: "item";
  readonly id: Id;
  /** The number of the value: 0 for the first one. */
  readonly seq: number;
  readonly data: unknown;
}

/** A frame without an `id` that failed. */
export interface ErrorFrame {
  readonly type: "error";
  readonly event?: string;
  readonly error: EventFailure;
}

/** All users of a room, or a change of these users. */
export interface PresenceFrame {
  readonly type: "presence";
  readonly room: string;
  readonly version: number;
  readonly count: number;
  readonly users?: readonly PresentUser[];
  readonly joined?: readonly PresentUser[];
  readonly left?: readonly string[];
}

/** Messages were dropped for this client. */
export interface LaggedFrame {
  readonly type: "lagged";
  readonly missed?: number;
  readonly position?: Position;
  readonly room?: string;
  /** With `room`: as `position`, for a room that the connection joined besides its home. */
  readonly roomPosition?: Position;
}

/** The connection has joined or left a room with history besides its home. */
export interface RoomFrame {
  readonly type: "joined" | "left";
  readonly room: string;
  /** With `joined`, as the fields of the welcome. */
  readonly position?: Position;
  readonly recovered?: boolean;
  readonly reason?: ResumeFailure;
  readonly missed?: number;
}

/** A request of the server; the client answers it with one reply. */
export interface RequestFrame {
  readonly type: "request";
  readonly id: FrameId;
  readonly event: string;
  readonly data?: unknown;
}

/** The server will close this connection. */
export interface DrainFrame {
  readonly type: "drain";
  readonly withinMs: number;
  /** Milliseconds until this client opens its next connection. Older servers do not send it. */
  readonly afterMs?: number;
}

/** An event whose answer is a stream. */
export interface StreamFrame {
  readonly type: "event";
  readonly event: string;
  readonly data?: unknown;
  readonly id: FrameId;
  /** The number of the next value: 0, or after those that were received on an earlier connection. */
  readonly from: number;
  /** The number of the first value that the client has received and not read yet. */
  readonly read?: number;
  readonly window?: number;
  readonly key?: string;
}

/** A frame from the server. `Id` is the type of the ids that this client chooses. */
export type ServerFrame<Id extends FrameId = FrameId> =
  | WelcomeFrame
  | MessageFrame
  | ReplyFrame<Id>
  | ItemFrame<Id>
  | ErrorFrame
  | PresenceFrame
  | LaggedFrame
  | RoomFrame
  | RequestFrame
  | DrainFrame
  | { readonly type: "pong" };

/** A frame from a client. */
export type ClientFrame =
  | { readonly type: "message"; readonly data: unknown; readonly id?: FrameId }
  | { readonly type: "message"; readonly text: string; readonly id?: FrameId }
  | { readonly type: "event"; readonly event: string; readonly data?: unknown; readonly id?: FrameId }
  | StreamFrame
  | { readonly type: "ack"; readonly id: FrameId; readonly seq: number }
  | { readonly type: "cancel"; readonly id: FrameId }
  | ReplyFrame
  | { readonly type: "refresh"; readonly token: string }
  | { readonly type: "watch" | "ping" };
