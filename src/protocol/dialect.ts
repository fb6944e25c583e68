import type { Gap } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import type { Clock } from "../connection/clock.js";
import type { Codec } from "../connection/codec.js";
import type { Peer } from "../connection/peer.js";
import type { OutgoingEvent } from "../wire/events/protocol.js";
import type { Position } from "../wire/position.js";

/** One client in its rooms. */
export type Member = Peer<Dialect>;

/** How one kind of client is spoken to, chosen once when it is accepted. The only place that knows frames. */
export interface Dialect extends Codec {
  /** Bytes for this member, made once for all members that get the same; `undefined`: it gets none. */
  encode(delivery: Delivery, member: Member): Uint8Array | undefined;
  /** What a member is sent about publications of a room that are lost for good; `undefined`: it is not told. */
  encodeGap(gap: Gap, address: string, member: Member): Uint8Array | undefined;
  /** Asks the client to connect elsewhere; `undefined` for one that cannot be asked. */
  encodeDrain(withinMs: number): Uint8Array | undefined;
  /** What the client calls itself over all its connections; `undefined` when it has no such name. */
  readonly clientName: string | undefined;
  /** For a client whose frames may concern its session. */
  readonly session: SessionDialect | undefined;
  /** For a client that knows of positions. */
  readonly joining: JoiningClient | undefined;
  /** For a client whose messages may have ids of their own. */
  readonly replies: Replies | undefined;
}

/** A dialect that has a part in the session of its client. */
export interface SessionDialect {
  /** Called once, before anything is sent or received. */
  start(session: DialectSession): void;
  /** Called once, when the connection has ended and its handler is not waited for any more. */
  end(): void;
}

/** What a dialect needs of the session that its client belongs to. */
export interface DialectSession {
  readonly member: Member;
  readonly clock: Clock;
  /** By which the user is addressed. */
  readonly userId: string | undefined;
  /** The client asks for the presence of its home. */
  readonly onWatch: () => void;
  /** The client renews its credentials. */
  readonly onRefresh: (token: string) => void;
  /** Takes what went wrong on this side. */
  readonly onError: (error: unknown) => void;
}

/** A client that knows of positions, and has to learn where it begins. */
export interface JoiningClient {
  /** The position of the last publication that it received on an earlier connection. */
  readonly since: Position | "invalid" | undefined;
  /** Called once, before anything else of its home is sent. */
  welcome(resumption: Resumption): void;
  /** So many messages that are not kept anywhere were dropped before it had caught up. */
  onSkipped(count: number): void;
}

/** Answers under ids that the handler need not know. */
export interface Replies {
  /** Whether the message that the handler is busy with is to be answered. */
  readonly isAwaited: boolean;
  /** Answers it; `false` where that is for the handler itself to do. */
  reply(outgoing: OutgoingEvent): boolean;
}

/** Why a client does not get all that it missed: see `welcome` in PROTOCOL.md. */
export type LossReason = "epoch" | "trimmed" | "limit" | "invalid" | "off";

/** Where a client begins, and whether that is where it left off. */
export interface Resumption {
  /** Where its publications begin; `undefined` where no history is kept. */
  readonly position?: Position | undefined;
  /** `undefined` for a client that does not resume. */
  readonly recovered?: boolean | undefined;
  readonly reason?: LossReason | undefined;
  /** How many publications it will never get; `undefined` when that is not known. */
  readonly missed?: number | undefined;
}
