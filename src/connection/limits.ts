/** The limits of one connection. The app sets them; a scope and a route may override them. */
export interface PeerLimits {
  /** Bytes of one received message, with all fragments, decompressed. Above: close 1009. Default: 64 KiB. */
  readonly messageBytesMax: number;
  /** Fragments of one received message. Above: close 1008. Default: 256. */
  readonly fragmentsMax: number;
  /** Received messages that wait for a busy handler. When reached: the socket is paused. Default: 64. */
  readonly inboxMessagesMax: number;
  /** Bytes buffered in the socket. When reached: the client lags, and messages wait in the outbox. Default: 64 KiB. */
  readonly highWaterBytes: number;
  /** Bytes that wait in the outbox for a slow client. Above: close 4008. Default: 1 MiB. */
  readonly outboxBytesMax: number;
  /** Milliseconds that a message may wait in the outbox for a slow client. Above: close 4008. Default: 30,000. */
  readonly outboxAgeMsMax: number;
  /** Messages that wait for the welcome of an `enfilade.v1` client. Above: close 4008. Default: 1,000. */
  readonly earlyMessagesMax: number;
  /** Requests to an `enfilade.v1` client without a reply yet. Above: `sendRequest` rejects. Default: 64. */
  readonly requestsMax: number;
  /** Milliseconds of silence until a ping; after twice that time: close 1006. `false`: off. Default: 25,000. */
  readonly heartbeatMs: number | false;
  /**
   * Milliseconds for a client to answer a close, and for a busy handler to finish after its connection has ended.
   * Default: 5,000.
   */
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

/** The limits for writing to all connections of an app. */
export interface FlushLimits {
  /** Connections written to in one turn of the event loop; the others follow in the next. Default: 2,000. */
  readonly flushConnectionsMax: number;
}

export const defaultFlushLimits: FlushLimits = {
  flushConnectionsMax: 2_000,
};
