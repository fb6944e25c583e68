/** The limits of one connection. The app sets them; a scope and a route may override them. */
export interface PeerLimits {
  /** Bytes of one received message, with all fragments, decompressed. Above: close 1009. Default: 64 KiB. */
  readonly messageBytesMax: number;
  /** Fragments of one received message. Above: close 1008. Default: 256. */
  readonly fragmentsMax: number;
  /**
   * Pieces in which the network delivers one frame; each piece takes memory. One piece per 512 bytes of
   * `messageBytesMax` is always allowed. Above: close 1008. Default: 512.
   */
  readonly bufferedChunksMax: number;
  /**
   * Milliseconds from the first bytes of a message to its last; control frames in between do not extend it. Above, to
   * within a quarter: close 1008. Default: 10,000.
   */
  readonly messageMs: number;
  /** Frames of one client, control frames included, that are read in one turn of the event loop. Default: 256. */
  readonly turnMessagesMax: number;
  /** Bytes of these frames, decompressed; at least one frame is read. Default: 256 KiB. */
  readonly turnBytesMax: number;
  /** Milliseconds for these frames, looked at after every eighth; at least 16 frames are read. Default: 4. */
  readonly turnMs: number;
  /** Frames of one client per second, control frames included. Above: the socket is paused. Default: no limit. */
  readonly messagesPerSecondMax: number;
  /** Bytes of these frames, decompressed. Above: the socket is paused. Default: no limit. */
  readonly bytesPerSecondMax: number;
  /** Bytes per second beyond 16 times the size of compressed messages. Above: the socket is paused. Default: 1 MiB. */
  readonly inflatedBytesPerSecondMax: number;
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
  /**
   * Streamed replies that a client reads on one connection at the same time. Above: `too_many_streams`. Default: 16.
   */
  readonly streamsMax: number;
  /** Milliseconds in which a client without a connection may continue a streamed reply. Default: 30,000. */
  readonly streamGraceMs: number;
  /**
   * Bytes of the values of one stream that its client has not read, as JSON. When reached, the generator is asked for
   * no more; above, without a connection: the stream is lost. Default: 1 MiB.
   */
  readonly streamBytesMax: number;
  /**
   * Renewals of credentials by an `enfilade.v1` client, per minute. Above: the newest token waits. Default: 30.
   */
  readonly refreshesPerMinuteMax: number;
  /** Milliseconds between two presence lists for an `enfilade.v1` client that asks with `watch`. Default: 1,000. */
  readonly presenceListMs: number;
  /** Milliseconds of silence until a ping, and then until the end, with 1006. `false`: off. Default: 25,000. */
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
  bufferedChunksMax: 512,
  messageMs: 10_000,
  turnMessagesMax: 256,
  turnBytesMax: 256 * 1024,
  turnMs: 4,
  messagesPerSecondMax: Number.POSITIVE_INFINITY,
  bytesPerSecondMax: Number.POSITIVE_INFINITY,
  inflatedBytesPerSecondMax: 1024 * 1024,
  inboxMessagesMax: 64,
  highWaterBytes: 64 * 1024,
  outboxBytesMax: 1024 * 1024,
  outboxAgeMsMax: 30_000,
  earlyMessagesMax: 1_000,
  requestsMax: 64,
  streamsMax: 16,
  streamGraceMs: 30_000,
  streamBytesMax: 1024 * 1024,
  refreshesPerMinuteMax: 30,
  presenceListMs: 1_000,
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
