import type { Gap } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import type { Clock } from "../connection/clock.js";
import type { Codec } from "../connection/codec.js";
import type { Peer } from "../connection/peer.js";
import type { OutgoingEvent } from "../wire/events/protocol.js";
import type { ResumeFailure } from "../wire/frames.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";

/** One connection as a member of its rooms. */
export type Member = Peer<Dialect>;

/** Encodes and decodes the messages of one kind of client, plain or `enfilade.v1`. Chosen once for a connection. */
export interface Dialect extends Codec {
  /** Encodes a delivery for `member`, once for all members with the same bytes; `undefined`: the member gets none. */
  encode(delivery: Delivery, member: Member): Uint8Array | undefined;
  /** Encodes a notice that publications of a room are lost for good; `undefined`: the member gets none. */
  encodeGap(gap: Gap, address: string, member: Member): Uint8Array | undefined;
  /**
   * Encodes the request to connect to another node after `afterMs`; `undefined` for a client that does not support it.
   */
  encodeDrain(withinMs: number, afterMs: number): Uint8Array | undefined;
  /** The id that the client keeps over all its connections; `undefined` if it has none. */
  readonly clientName: string | undefined;
  /** `undefined` if frames of the client do not concern its session. */
  readonly session: SessionDialect | undefined;
  /** `undefined` if the client does not support positions. */
  readonly joining: JoiningClient | undefined;
  /** `undefined` if the client does not support positions in other rooms than its home. */
  readonly joins?: RoomJoins | undefined;
  /** `undefined` if the dialect has no ids of messages. */
  readonly replies: Replies | undefined;
  /** `undefined` if the connection has a socket of its own. */
  readonly socketRooms?: SocketRooms | undefined;
}

/** The rooms of all connections on one socket, counted together. The object identifies the socket. */
export interface SocketRooms {
  count: number;
}

/** The part of a dialect that takes part in the session of its client. */
export interface SessionDialect {
  /** Called once, before the first message is sent or received. */
  start(session: DialectSession): void;
  /** Called once, when the connection has ended and its handler has finished or is not awaited any more. */
  end(): void;
}

/** The part of a session that a dialect uses. */
export interface DialectSession {
  readonly member: Member;
  readonly clock: Clock;
  /** The id of the user; `undefined` if there is none. */
  readonly userId: string | undefined;
  /** The version of the presence of its home, if the client gets its changes; else `undefined`. */
  watchedVersion(): number | undefined;
  /** Called when the client asks for the presence of its home. */
  onWatch(): void;
  /** Called when the client renews its token. */
  onRefresh(token: string): void;
  /** Receives errors of the server. */
  onError(error: unknown): void;
}

/** A client that supports positions, while it joins its home. */
export interface JoiningClient {
  /** The position of the last publication that it received on an earlier connection. */
  readonly since: Position | "invalid" | undefined;
  /** Called once, before any other message of its home is sent. */
  welcome(resumption: Resumption): void;
  /** `count` messages without history were dropped before the client had caught up. */
  onSkipped(count: number): void;
}

/** A client that supports positions in rooms that its connection joins besides its home, if they have history. */
export interface RoomJoins {
  /** The position of the last publication of such a room that it received on an earlier connection. */
  sinceOf(path: RoomPath): Position | undefined;
  /** Called before any publication of the room is sent. */
  onJoined(path: RoomPath, resumption: Resumption): void;
  onLeft(path: RoomPath): void;
}

/** Answers messages that have an id in the dialect. */
export interface Replies {
  /** Whether the client awaits an answer to the message that the handler is handling. */
  readonly isAwaited: boolean;
  /** Sends a reply or an error; `false` if the dialect does not send `outgoing`, so the caller has to. */
  reply(outgoing: OutgoingEvent): boolean;
}

/** The position where a client begins, and whether it could resume. */
export interface Resumption {
  /** The client gets the publications after this position; `undefined` if the home has no history. */
  readonly position?: Position | undefined;
  /** Whether the client gets all that it missed; `undefined` if it did not ask to resume. */
  readonly recovered?: boolean | undefined;
  readonly reason?: ResumeFailure | undefined;
  /** How many publications the client will never get; `undefined` if not known. */
  readonly missed?: number | undefined;
}
