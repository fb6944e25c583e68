/** The limits of the backplane, and of deliveries that wait for a reader. */
export interface BackplaneLimits {
  /** Bytes of all histories on this node. Above: the rooms quiet for longest lose theirs. Default: 64 MiB. */
  readonly historyBytesMax: number;
  /** Rooms on this node. Above: clients get a 503, and `join` throws `ERR_ROOMS_MAX`. Default: 100,000. */
  readonly roomsMax: number;
  /** Publications that wait for a `subscribe()` loop or a client. Above: the oldest are dropped. Default: 1,000. */
  readonly subscriberMessagesMax: number;
  /** Milliseconds for the engine to answer. Above: `ERR_BACKPLANE`, and the engine is reconnected. Default: 5,000. */
  readonly backplaneMs: number;
  /** Bytes of publications that the engine has not acknowledged. Above: `ERR_BACKPLANE`. Default: 16 MiB. */
  readonly backplaneBytesMax: number;
  /** Ids of publications (`publish(value, { id })`) for each room. Above: the oldest is forgotten. Default: 1,000. */
  readonly publicationIdsMax: number;
  /** Milliseconds that the id of a publication is known. Over NATS 120,000. Default: 120,000. */
  readonly publicationIdsMs: number;
  /** Milliseconds between the heartbeats of a node. After three missing ones the node is lost. Default: 3,000. */
  readonly nodeHeartbeatMs: number;
  /** Milliseconds to wait for a request that another node runs. Above: it gets `duplicate`. Default: 5,000. */
  readonly claimMs: number;
  /** Average milliseconds between two checks whether rooms without traffic missed publications. Default: 30,000. */
  readonly roomCheckMs: number;
}

export const defaultBackplaneLimits: BackplaneLimits = {
  historyBytesMax: 64 * 1024 * 1024,
  roomsMax: 100_000,
  subscriberMessagesMax: 1_000,
  backplaneMs: 5_000,
  backplaneBytesMax: 16 * 1024 * 1024,
  publicationIdsMax: 1_000,
  publicationIdsMs: 120_000,
  nodeHeartbeatMs: 3_000,
  claimMs: 5_000,
  roomCheckMs: 30_000,
};
