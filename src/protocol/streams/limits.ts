/** The limits for the streams of all clients of an app. */
export interface StreamLimits {
  /**
   * Streams whose client has no connection, and may return. Above: the one absent longest is lost. Default: 1,000.
   */
  readonly absentStreamsMax: number;
  /**
   * Bytes of the values that wait in all streams. Above: those without a connection are lost, the one absent longest
   * first; then a generator is asked for one value at a time. Default: 32 MiB.
   */
  readonly streamsBytesMax: number;
}

export const defaultStreamLimits: StreamLimits = {
  absentStreamsMax: 1_000,
  streamsBytesMax: 32 * 1024 * 1024,
};
