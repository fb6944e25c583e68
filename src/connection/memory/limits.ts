/** The limit for the memory of the whole app. */
export interface MemoryLimits {
  /**
   * Bytes of all messages that wait for handlers and for clients, of messages whose rest is missing, of remembered
   * frames, and of history in memory. At it: sockets are paused, the slowest clients are closed with 4008, and those
   * with the largest parts of messages with 1008. Default: 128 MiB.
   */
  readonly memoryBytesMax: number;
}

export const defaultMemoryLimits: MemoryLimits = {
  memoryBytesMax: 128 * 1024 * 1024,
};
