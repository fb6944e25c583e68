import type { HistoryConfig } from "../backplane/backplane.js";
import type { DeliveryPolicy } from "../connection/policy.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import type { EventProtocol } from "../wire/events/protocol.js";

/** `"full"`: the users in a room are known. `"count"`: only their number. `"off"`: the room has no presence. */
export type PresenceMode = "full" | "count" | "off";

/** The presence of a room, with all defaults filled in. */
export interface PresenceConfig {
  readonly mode: PresenceMode;
  /** Milliseconds that a user who left still counts as present. */
  readonly leaveGraceMs: number;
  /** Returns the part of a user that others see, in addition to the id. */
  readonly show: ((user: unknown) => unknown) | undefined;
}

/** The configuration of a room, from the route of its path. */
export interface RoomConfig {
  /** `undefined`: the room has no history. */
  readonly history: HistoryConfig | undefined;
  readonly presence: PresenceConfig;
  /** For messages to a client that lags, unless the call or the event has a policy. */
  readonly policy: DeliveryPolicy | undefined;
  /** The format of events for server code that reads the room. */
  readonly eventProtocol: EventProtocol;
  /** Policies of events, by event name. */
  readonly eventPolicies: ReadonlyMap<string, DeliveryPolicy>;
}

/** The configuration of a room without a route, or whose route configures no history, presence or policy. */
export const defaultRoomConfig: RoomConfig = {
  history: undefined,
  presence: { mode: "off", leaveGraceMs: 0, show: undefined },
  policy: undefined,
  eventProtocol: jsonEvents,
  eventPolicies: new Map(),
};
