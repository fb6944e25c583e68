/** The counts of one app since it was created; see `app.status().totals`. */
export interface Totals {
  /** Connections that were opened. */
  readonly opened: number;
  /** Opened connections that have ended. */
  readonly closed: number;
  /** Upgrade requests that were refused, by an HTTP error or, for clients that cannot read it, by a close code. */
  readonly refused: number;
  /** Messages received from clients. */
  readonly received: number;
  /** The bytes of these messages, without frame headers, after decompression. */
  readonly receivedBytes: number;
  /** Messages handed to a connection; a broadcast to ten connections counts ten. */
  readonly delivered: number;
  /** Bytes of messages written to the sockets, with frame headers, compressed if the connection uses compression. */
  readonly sentBytes: number;
  /** Delivered messages that a delivery policy then dropped or replaced, because the client lagged. */
  readonly dropped: number;
  /** How often a client lagged so far that it went on with the history of its home instead of live publications. */
  readonly behind: number;
  /** Connections that were closed with 4008 because the client read too slowly. */
  readonly slow: number;
  /** How often a socket was paused because of `memoryBytesMax`. */
  readonly memoryPauses: number;
  /** Connections that were closed with 4008 because of `memoryBytesMax`; they count in `slow` too. */
  readonly memoryCloses: number;
  /** Answered frames of `enfilade.v1` clients that were forgotten early, because of `receiptsBytesMax` and others. */
  readonly receiptsForgotten: number;
}

/** The counters of one app. */
export class Metrics {
  readonly totals: { -readonly [Name in keyof Totals]: Totals[Name] } = {
    opened: 0,
    closed: 0,
    refused: 0,
    received: 0,
    receivedBytes: 0,
    delivered: 0,
    sentBytes: 0,
    dropped: 0,
    behind: 0,
    slow: 0,
    memoryPauses: 0,
    memoryCloses: 0,
    receiptsForgotten: 0,
  };
  /** How often outboxes were flushed, and for how many milliseconds the longest flush blocked the event loop. */
  readonly flush = { count: 0, msMax: 0 };

  /** Counts a received message of this many bytes. */
  countReceived(bytes: number): void {
    this.totals.received += 1;
    this.totals.receivedBytes += bytes;
  }
}
