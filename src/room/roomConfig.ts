import type { HistoryConfig } from "../backplane/backplane.js";
import type { DeliveryPolicy } from "../connection/policy.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import type { EventProtocol } from "../wire/events/protocol.js";

/** What is known of who is in a room: everybody, how many, or nothing that is kept. */
export type PresenceMode = "full" | "count" | "off";

export interface PresenceConfig {
  readonly mode: PresenceMode;
  readonly leaveGraceMs: number;
  /** What others are told of a user beside the id. */
  readonly show: ((user: unknown) => unknown) | undefined;
}

/** What holds for a room, by the route of its path. */
export interface RoomConfig {
  /** `undefined`: nothing is kept. */
  readonly history: HistoryConfig | undefined;
  readonly presence: PresenceConfig;
  /** What happens to what is sent to it, for a client that lags, where neither the call nor the event says. */
  readonly policy: DeliveryPolicy | undefined;
  /** How its code reads events. */
  readonly eventProtocol: EventProtocol;
  /** Policies of events by their names. */
  readonly eventPolicies: ReadonlyMap<string, DeliveryPolicy>;
}

/** A room that has no route, or whose route says nothing of it. */
export const defaultRoomConfig: RoomConfig = {
  history: undefined,
  presence: { mode: "off", leaveGraceMs: 0, show: undefined },
  policy: undefined,
  eventProtocol: jsonEvents,
  eventPolicies: new Map(),
};
