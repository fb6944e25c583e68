import type { EventFailure } from "./events/protocol.js";
import type { Position } from "./position.js";

/** The subprotocol that PROTOCOL.md is about. */
export const v1 = "enfilade.v1";
/** Precedes a token among the subprotocols that a client offers. */
export const tokenPrefix = "enfilade.token.";

/** Connects a reply to its frame. */
export type FrameId = string | number;

/** Why a connection could not resume at its `since`. */
export type ResumeFailure = "epoch" | "trimmed" | "limit" | "invalid" | "off";

/** A user in a room, however many connections that takes. */
export interface PresentUser {
  readonly id: string;
  /** What the route shows of the user, if anything. */
  readonly user?: unknown;
  readonly connections: number;
}

/** The first frame of each connection. */
export interface WelcomeFrame {
  readonly type: "welcome";
  /** The id of the connection. */
  readonly id: string;
  /** The canonical path of the home. */
  readonly room: string;
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
}

/** A frame without an `id` that failed. */
export interface ErrorFrame {
  readonly type: "error";
  readonly event?: string;
  readonly error: EventFailure;
}

/** All users of a room, or a change of them. */
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
}

/** A question to this client, answered by one reply. */
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
}

/** A frame from the server, as it travels. `Id` is what this client uses as ids. */
export type ServerFrame<Id extends FrameId = FrameId> =
  | WelcomeFrame
  | MessageFrame
  | ReplyFrame<Id>
  | ErrorFrame
  | PresenceFrame
  | LaggedFrame
  | RequestFrame
  | DrainFrame
  | { readonly type: "pong" };

/** A frame from a client, as it travels. */
export type ClientFrame =
  | { readonly type: "message"; readonly data: unknown; readonly id?: FrameId }
  | { readonly type: "message"; readonly text: string; readonly id?: FrameId }
  | { readonly type: "event"; readonly event: string; readonly data?: unknown; readonly id?: FrameId }
  | ReplyFrame
  | { readonly type: "refresh"; readonly token: string }
  | { readonly type: "watch" | "ping" };
