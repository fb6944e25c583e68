import type { Fault } from "../errors.js";

/** Where a publication stands in the numbered stream of its room. */
export interface Position {
  /** Names the life of the stream: another epoch, another numbering. */
  readonly epoch: string;
  /** Counts up by one with each publication; 0 is before the first. */
  readonly offset: number;
}

/** A user in the room, however many connections that takes. */
export interface PresentUser {
  readonly id: string;
  /** What the route shows of the user, if anything. */
  readonly user?: unknown;
  readonly connections: number;
}

/** Why messages may be missing; see {@link Lost}. */
export type WelcomeFault = "epoch" | "trimmed" | "limit" | "invalid" | "off";

/** First on each connection. */
export interface Welcome {
  readonly type: "welcome";
  readonly id: string;
  readonly room: string;
  readonly position?: Position;
  readonly recovered?: boolean;
  readonly reason?: WelcomeFault;
  readonly missed?: number;
  readonly heartbeatMs: number;
}

export interface MessageFrame {
  readonly type: "message";
  readonly offset?: number;
  readonly room?: string;
  readonly data?: unknown;
  readonly text?: string;
  readonly base64?: string;
}

export interface ReplyFrame {
  readonly type: "reply";
  readonly id: number;
  readonly data?: unknown;
  readonly error?: Fault;
}

export interface PresenceFrame {
  readonly type: "presence";
  readonly room: string;
  readonly version: number;
  readonly count: number;
  readonly users?: readonly PresentUser[];
  readonly joined?: readonly PresentUser[];
  readonly left?: readonly string[];
}

/** A frame of the server, as PROTOCOL.md has it. */
export type ServerFrame =
  | Welcome
  | MessageFrame
  | ReplyFrame
  | PresenceFrame
  | { readonly type: "error"; readonly event?: string; readonly error: Fault }
  | { readonly type: "lagged"; readonly missed?: number; readonly position?: Position }
  | { readonly type: "drain" | "pong" };

/** @throws Error when it is no JSON. */
export function readFrame(text: string): ServerFrame {
  try {
    // That a frame is as PROTOCOL.md has it is the server's word: whoever takes one reports what fails on the way.
    return JSON.parse(text) as ServerFrame;
  } catch {
    // The parser's own message quotes the text, and ends up in logs.
    throw new Error("a frame is not JSON");
  }
}
