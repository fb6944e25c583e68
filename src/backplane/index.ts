export type { EngineClaim, EngineClaims } from "../cluster/claims/engineClaims.js";
export { ClusterBackplane } from "../cluster/clusterBackplane.js";
export type {
  Engine,
  EngineEvents,
  EngineHistoryPage,
  EngineRoom,
  EngineTop,
  PublicationId,
} from "../cluster/engine.js";
export { joinNodeMessages } from "../cluster/nodeMessageBatch.js";
export { Payload } from "../wire/payload.js";
export type {
  Backplane,
  BackplaneContext,
  BackplaneOutage,
  BackplaneStatus,
  CloseCommand,
  Epoch,
  EvictCommand,
  Gap,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  LinkStatus,
  PresenceEntry,
  PresenceReport,
  PresenceUpdate,
  Receiver,
  RoomNodes,
} from "./backplane.js";
export type { ClaimedFrame, ClaimResult, Claims, ClaimWindow } from "./claims.js";
export type { Counts } from "./counts.js";
export { Delivery, type DeliveryFields } from "./delivery.js";
export { MemoryBackplane, type MemoryOptions } from "./memory.js";
export type { RevokedTopic, Topic } from "./topic.js";
