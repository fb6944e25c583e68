import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as admin from "../src/admin/index.js";
import * as backplane from "../src/backplane/index.js";
import * as enfilade from "../src/index.js";
import * as metrics from "../src/metrics/index.js";
import * as nats from "../src/nats/index.js";
import * as redis from "../src/redis/index.js";
import * as testing from "../src/testing/index.js";
import * as tickets from "../src/tickets/index.js";
import * as contracts from "../src/wire/contract/index.js";

it("exports exactly the public values", () => {
  expect(Object.keys(enfilade).sort()).toEqual([
    "App",
    "CloseCode",
    "ConnectionError",
    "EnfiladeError",
    "EventError",
    "EventHandler",
    "HttpError",
    "MessageError",
    "On",
    "RequestError",
    "Route",
    "WebSocketHandler",
    "anonymous",
    "commandEvents",
    "contract",
    "defaultLimits",
    "jsonEvents",
    "latest",
    "reliable",
    "roomPath",
    "skip",
    "spacedEvents",
  ]);
  expect(Object.keys(backplane).sort()).toEqual([
    "ClusterBackplane",
    "Delivery",
    "MemoryBackplane",
    "Payload",
    "joinNodeMessages",
  ]);
  expect(Object.keys(contracts)).toEqual(["contract"]);
  expect(Object.keys(redis)).toEqual(["redis"]);
  expect(Object.keys(nats)).toEqual(["nats"]);
  expect(Object.keys(tickets)).toEqual(["tickets"]);
  expect(Object.keys(metrics)).toEqual(["metrics"]);
  expect(Object.keys(admin)).toEqual(["admin"]);
  expect(Object.keys(testing).sort()).toEqual([
    "ManualClock",
    "TestClient",
    "connect",
    "connectURL",
    "fetchOf",
    "socketsOf",
  ]);
});

/** The types that an index exports. */
function typesOf(index: string): string[] {
  const source = readFileSync(join(import.meta.dirname, "../src", index), "utf8");
  const types = [...source.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, allTypes, names]) =>
    (names ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && (allTypes !== undefined || name.startsWith("type ")))
      .map((name) => name.replace(/^type /, "")),
  );
  return types.sort();
}

it("exports the names for writing a backplane and an engine from their own subpath", () => {
  expect(typesOf("backplane/index.ts")).toEqual([
    "Backplane",
    "BackplaneContext",
    "BackplaneOutage",
    "BackplaneStatus",
    "ClaimResult",
    "ClaimWindow",
    "ClaimedFrame",
    "Claims",
    "CloseCommand",
    "Counts",
    "DeliveryFields",
    "Engine",
    "EngineClaim",
    "EngineClaims",
    "EngineEvents",
    "EngineHistoryPage",
    "EngineRoom",
    "EngineTop",
    "Epoch",
    "EvictCommand",
    "Gap",
    "HistoryConfig",
    "HistoryPage",
    "HistoryQuery",
    "LinkStatus",
    "MemoryOptions",
    "PresenceEntry",
    "PresenceReport",
    "PresenceUpdate",
    "PublicationId",
    "Receiver",
    "RevokedTopic",
    "RoomNodes",
    "Topic",
  ]);
});

it("exports the hooks and their types from their own subpath", async () => {
  // As text: the types of React would add those of browsers to all tests.
  const path: string = "../src/react/index.js";
  const hooks = ["useEvent", "useMessages", "usePresence", "useRequest", "useResync", "useRoom"];
  expect(Object.keys(await import(path)).sort()).toEqual(hooks);
  const types = ["UseRequestResult", "UseRoomOptions", "UseRoomResult", "UseRoomState"];
  expect(typesOf("react/index.ts")).toEqual(types);
});

it("exports the types of contracts from a subpath without the server, too", () => {
  const types = ["Contract", "ContractEvents", "DataOf", "EventSchemas", "ReplyOf", "Schema", "SentDataOf"];
  expect(typesOf("wire/contract/index.ts")).toEqual(types);
});

it("exports the types of tickets from their own subpath", () => {
  expect(typesOf("tickets/index.ts")).toEqual(["IssueOptions", "Tickets", "TicketsOptions"]);
});

it("exports the types of metrics from their own subpath", () => {
  expect(typesOf("metrics/index.ts")).toEqual([
    "Extensible",
    "MetricsEndpointOptions",
    "MetricsOptions",
    "PrometheusClient",
    "PrometheusMetric",
    "PrometheusRegistry",
  ]);
});

it("exports the types of the admin from their own subpath", () => {
  const types = ["AdminLimits", "AdminOptions", "AuditEntry", "Operator", "OperatorAnswer"];
  expect(typesOf("admin/index.ts")).toEqual(types);
});

it("exports exactly the public types", () => {
  expect(typesOf("index.ts")).toEqual([
    "Address",
    "AnyHandler",
    "AppContext",
    "AppEvents",
    "AppOptions",
    "Application",
    "AsyncAPIDocument",
    "AsyncAPIInfo",
    "AsyncAPIOptions",
    "AsyncAPIServer",
    "AuthorizeCheck",
    "Authorized",
    "BackplaneOutage",
    "BackplaneStatus",
    "BadMessage",
    "Bytes",
    "Channel",
    "Clock",
    "CloseInfo",
    "Connection",
    "ConnectionLimits",
    "ConnectionRequest",
    "Contract",
    "ContractEvents",
    "ContractHandler",
    "ContractHandlerClass",
    "ContractMark",
    "Counts",
    "CreateHandler",
    "DataOf",
    "DecodedEvent",
    "DeliveryOptions",
    "DeliveryPolicy",
    "DiagnosticMessages",
    "DrainOptions",
    "DrainResult",
    "ErrorCode",
    "EventDeclaration",
    "EventFailure",
    "EventMethods",
    "EventOptions",
    "EventProtocol",
    "EventSchemas",
    "EvictOptions",
    "Evictee",
    "Except",
    "Extension",
    "ExtensionHost",
    "Framing",
    "GoneListener",
    "HandlerClass",
    "HealthReport",
    "HistoryOptions",
    "HttpOptions",
    "IncomingEvent",
    "Interceptor",
    "Limits",
    "ListenOptions",
    "Listening",
    "Logger",
    "LoopDelay",
    "MemoryStatus",
    "Message",
    "MessageIssue",
    "Origins",
    "OutgoingEvent",
    "PathParams",
    "Position",
    "PresenceChange",
    "PresenceMode",
    "PresenceOptions",
    "PresenceState",
    "PresentUser",
    "Publication",
    "ReadOptions",
    "Refusal",
    "RefusalReason",
    "Registry",
    "RegistryEvents",
    "RemainingConnection",
    "ReplyOf",
    "RequestOptions",
    "Revocation",
    "Room",
    "RoomPath",
    "RouteDeclaration",
    "RouteInfo",
    "RouteOptions",
    "RouteParams",
    "Schema",
    "Scope",
    "ScopeOptions",
    "SendOptions",
    "SentDataOf",
    "SharedOptions",
    "SignalOptions",
    "Status",
    "SubscribeOptions",
    "Subscription",
    "TapBatch",
    "TapDirection",
    "TapEntry",
    "TapFilter",
    "TapListener",
    "TapOptions",
    "Timer",
    "Totals",
    "TraceSpans",
    "Transport",
    "TransportEvents",
    "TransportOptions",
    "TransportRequest",
    "TrustProxy",
    "User",
    "UserAddress",
    "UserId",
    "UserOverflow",
    "WriterOptions",
  ]);
});

it("offers each entry of the package with its types first", () => {
  const { exports } = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8"));
  expect(Object.keys(exports)).toEqual([
    ...[
      ".",
      "./client",
      "./contract",
      "./fallback",
      "./react",
      "./backplane",
      "./redis",
      "./nats",
      "./tickets",
      "./metrics",
      "./admin",
      "./testing",
    ],
    "./package.json",
  ]);
  const { "./package.json": _file, ...entries } = exports;
  for (const entry of Object.values<object>(entries)) expect(Object.keys(entry)[0]).toBe("types");
});
