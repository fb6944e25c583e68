/** What backplanes enforce, and what is bounded alike on the way from them. */
export interface BackplaneLimits {
  /** Bytes of all that is kept of rooms, as accounted for. Past it: the rooms quiet for longest lose their history. Default: 64 MiB. */
  readonly historyBytesMax: number;
  /** Rooms on this node. Past it: 503, and `join` throws. Default: 100,000. */
  readonly roomsMax: number;
  /** Publications waiting for a `room.subscribe()`, or for a client that history is read for. Past it: see there. Default: 1,000. */
  readonly subscriberMessagesMax: number;
  /** Milliseconds for the backplane's engine to answer. Past it: `ERR_BACKPLANE`, and a new connection to it. Default: 5,000. */
  readonly backplaneMs: number;
  /** Bytes of publications that the engine has not taken yet. Past it: `ERR_BACKPLANE`. Default: 16 MiB. */
  readonly backplaneBytesMax: number;
  /** Milliseconds between a node's signs of life to the others; after three without one they count it as gone. Default: 3,000. */
  readonly nodeHeartbeatMs: number;
  /** Milliseconds, give or take a half, between two looks at whether quiet rooms missed something. Default: 30,000. */
  readonly roomCheckMs: number;
}

export const defaultBackplaneLimits: BackplaneLimits = {
  historyBytesMax: 64 * 1024 * 1024,
  roomsMax: 100_000,
  subscriberMessagesMax: 1_000,
  backplaneMs: 5_000,
  backplaneBytesMax: 16 * 1024 * 1024,
  nodeHeartbeatMs: 3_000,
  roomCheckMs: 30_000,
};
