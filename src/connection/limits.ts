/** What a connection enforces. The app sets it, a scope and a route may set their own. */
export interface PeerLimits {
  /** Bytes of one incoming message, fragments joined and inflated. Past it: close 1009. Default: 64 KiB. */
  readonly messageBytesMax: number;
  /** Fragments of one incoming message. Past it: close 1008. Default: 256. */
  readonly fragmentsMax: number;
  /** Messages waiting for a busy handler. At it the socket is paused; nothing is dropped. Default: 64. */
  readonly inboxMessagesMax: number;
  /** Bytes handed to the socket and not yet taken by the network; what is sent above it waits here. Default: 64 KiB. */
  readonly highWaterBytes: number;
  /** Bytes waiting for a client that reads slowly. Past it: close 4008. Default: 1 MiB. */
  readonly outboxBytesMax: number;
  /** Milliseconds that a message may wait for such a client. Past it: close 4008. Default: 30,000. */
  readonly outboxAgeMsMax: number;
  /** Messages to a client of `enfilade.v1` that wait until the history of its room is read. Past it: close 4008. Default: 1,000. */
  readonly earlyMessagesMax: number;
  /** Requests to a client of `enfilade.v1` that it has not answered yet. Past it: `sendRequest` rejects. Default: 64. */
  readonly requestsMax: number;
  /** Milliseconds of silence before a ping; after two of them the connection is ended. `false`: never. Default: 25,000. */
  readonly heartbeatMs: number | false;
  /** Milliseconds to wait for the peer's part of a close. Past it: terminated. Default: 5,000. */
  readonly closeMs: number;
}

export const defaultPeerLimits: PeerLimits = {
  messageBytesMax: 64 * 1024,
  fragmentsMax: 256,
  inboxMessagesMax: 64,
  highWaterBytes: 64 * 1024,
  outboxBytesMax: 1024 * 1024,
  outboxAgeMsMax: 30_000,
  earlyMessagesMax: 1_000,
  requestsMax: 64,
  heartbeatMs: 25_000,
  closeMs: 5_000,
};

/** What the writing of all connections of an app enforces. */
export interface FlushLimits {
  /** Connections that are written to before the loop is let free for others. Default: 2,000. */
  readonly flushConnectionsMax: number;
}

export const defaultFlushLimits: FlushLimits = {
  flushConnectionsMax: 2_000,
};
