import type { Lifetime } from "../connection/lifetime.js";
import type { DeliveryPolicy } from "../connection/policy.js";
import type { ConnectionRequest } from "../connection/request.js";
import type { Member } from "../protocol/dialect.js";
import type { Publisher } from "../room/publisher.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import type { RoomPath } from "../wire/path.js";
import type { Application } from "./application.js";

/** Shared by all handlers of one route. */
export interface HandlerConfig {
  readonly app: Application;
  readonly publisher: Publisher;
  readonly eventProtocol: EventProtocol;
  /** For messages to a client that lags, unless the call names a policy. */
  readonly policy: DeliveryPolicy | undefined;
  /** Policies of events, by event name. */
  readonly eventPolicies: ReadonlyMap<string, DeliveryPolicy>;
}

/** The data that a handler gets when it is created. */
export interface HandlerContext {
  readonly id: string;
  readonly config: HandlerConfig;
  readonly request: ConnectionRequest;
  readonly lifetime: Lifetime;
  params: unknown;
  user: unknown;
  /** Set once the handler is connected. */
  member: Member | undefined;
  /** Set when the connection has ended. */
  leftRooms: readonly RoomPath[];
}
