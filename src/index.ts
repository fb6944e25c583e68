/// <reference types="node" preserve="true" />
export type { BackplaneOutage, BackplaneStatus } from "./backplane/backplane.js";
export type { Counts } from "./backplane/counts.js";
export type { UserAddress, UserId } from "./backplane/topic.js";
export type { Clock, Timer } from "./connection/clock.js";
export type { RequestOptions } from "./connection/codec.js";
export type { Connection } from "./connection/connection.js";
export type { MemoryStatus } from "./connection/memory/ledger.js";
export { type DeliveryOptions, type DeliveryPolicy, latest, reliable, skip } from "./connection/policy.js";
export type { ConnectionRequest } from "./connection/request.js";
export type {
  Framing,
  GoneListener,
  Refusal,
  RefusalReason,
  Transport,
  TransportEvents,
  TransportOptions,
  TransportRequest,
} from "./connection/transport.js";
export type { Totals } from "./counters.js";
export {
  type CloseInfo,
  ConnectionError,
  EnfiladeError,
  type ErrorCode,
  EventError,
  HttpError,
  MessageError,
  type MessageIssue,
  RequestError,
} from "./errors.js";
export type { AppContext, Application, Status } from "./handler/application.js";
export type {
  ContractHandler,
  ContractHandlerClass,
  ContractMark,
  EventMethods,
} from "./handler/contract/contractHandler.js";
export { type EventDeclaration, type EventOptions, On, Route } from "./handler/decorators.js";
export { EventHandler } from "./handler/events.js";
export { type AnyHandler, WebSocketHandler } from "./handler/handler.js";
export type { ConnectionLimits } from "./handler/limits.js";
export type { BadMessage, Interceptor } from "./handler/reader.js";
export type {
  HandlerClass,
  HistoryOptions,
  HttpOptions,
  Origins,
  PresenceOptions,
  RouteDeclaration,
  RouteOptions,
  SharedOptions,
} from "./handler/route.js";
export { type Authorized, anonymous } from "./handler/user.js";
export type { Address, Channel, Except, SendOptions, User } from "./room/address.js";
export type { Publication } from "./room/history/publication.js";
export type { Subscription } from "./room/history/subscription.js";
export type { PresenceChange, PresenceState, PresentUser } from "./room/presence/presenceState.js";
export type { Registry } from "./room/registry.js";
export type { RegistryEvents } from "./room/registryEvents.js";
export type { Evictee, EvictOptions, ReadOptions, Room, SubscribeOptions, WriterOptions } from "./room/room.js";
export type { PresenceMode } from "./room/roomConfig.js";
export type { TrustProxy } from "./server/access/proxies.js";
export type { Revocation } from "./server/access/revocation.js";
export type { UserOverflow } from "./server/access/userLimit.js";
export { App } from "./server/app.js";
export type { AppEvents } from "./server/appEvents.js";
export type { AsyncAPIDocument, AsyncAPIInfo, AsyncAPIOptions, AsyncAPIServer } from "./server/asyncapi/document.js";
export type { CreateHandler } from "./server/creation.js";
export type { HealthReport } from "./server/diagnostics/health.js";
export type { LoopDelay } from "./server/diagnostics/loopDelay.js";
export type { DiagnosticMessages, TraceSpans } from "./server/diagnostics/messages.js";
export type { TapBatch, TapListener } from "./server/diagnostics/tap.js";
export type { TapEntry } from "./server/diagnostics/tapEntry.js";
export type { TapDirection, TapFilter } from "./server/diagnostics/tapFilter.js";
export type { TapOptions } from "./server/diagnostics/taps.js";
export type { DrainOptions, DrainResult, RemainingConnection } from "./server/end/drain.js";
export type { SignalOptions } from "./server/end/signals.js";
export type { Extension, ExtensionHost } from "./server/extensions/extension.js";
export { defaultLimits, type Limits } from "./server/limits.js";
export type { Listening } from "./server/listening.js";
export type { AppOptions, Logger, ScopeOptions } from "./server/options.js";
export type { AuthorizeCheck, RouteInfo } from "./server/router.js";
export type { Scope } from "./server/scope.js";
export { CloseCode } from "./wire/closeCodes.js";
export {
  type Contract,
  type ContractEvents,
  contract,
  type EventSchemas,
} from "./wire/contract/contract.js";
export type { DataOf, ReplyOf, SentDataOf } from "./wire/contract/eventTypes.js";
export { commandEvents } from "./wire/events/commandEvents.js";
export type { DecodedEvent, IncomingEvent } from "./wire/events/incomingEvent.js";
export { jsonEvents } from "./wire/events/jsonEvents.js";
export type { EventFailure, EventProtocol, OutgoingEvent } from "./wire/events/protocol.js";
export { spacedEvents } from "./wire/events/spacedEvents.js";
export type { Message } from "./wire/message.js";
export type { ListenOptions } from "./wire/notifier.js";
export type { RoomPath } from "./wire/path.js";
export { type PathParams, type RouteParams, roomPath } from "./wire/pattern.js";
export type { Bytes } from "./wire/payload.js";
export type { Position } from "./wire/position.js";
export type { Schema } from "./wire/schema.js";
