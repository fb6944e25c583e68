/** What one app has counted since it was made. */
export interface Totals {
  /** Connections that were opened. */
  readonly opened: number;
  /** Connections that have ended, of those. */
  readonly closed: number;
  /** Upgrade requests that were answered with an HTTP error, or by a close code in place of one. */
  readonly refused: number;
  /** Messages that came in. */
  readonly received: number;
  /** Messages handed to a connection; a broadcast to ten counts ten. */
  readonly delivered: number;
  /** Of those, messages that a delivery policy dropped, or replaced, for a client that lagged. */
  readonly dropped: number;
  /** Connections that were closed because they read too slowly. */
  readonly slow: number;
}

/** The counters of one app. */
export class Metrics {
  readonly totals: { -readonly [Name in keyof Totals]: Totals[Name] } = {
    ...{ opened: 0, closed: 0, refused: 0, received: 0, delivered: 0, dropped: 0, slow: 0 },
  };
  /** Times that what was sent went out to the sockets, and the milliseconds that the longest of them held the loop. */
  readonly flush = { count: 0, msMax: 0 };
}
