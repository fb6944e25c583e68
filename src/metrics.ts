/** What one app has counted since it was made. */
export class Metrics {
  /** Connections that were opened. */
  opened = 0;
  /** Connections that have ended, of those. */
  closed = 0;
  /** Upgrade requests that were answered with an HTTP error. */
  refused = 0;
  /** Messages that came in. */
  received = 0;
  /** Messages handed to a connection; a broadcast to ten counts ten. */
  delivered = 0;
  /** Connections that were closed because they read too slowly. */
  slow = 0;
}
