import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as enfilade from "../src/index.js";
import * as nats from "../src/nats/index.js";
import * as redis from "../src/redis/index.js";
import * as testing from "../src/testing/index.js";

it("exports exactly the public values", () => {
  expect(Object.keys(enfilade).sort()).toEqual([
    "App",
    "CloseCode",
    "ConnectionError",
    "EnfiladeError",
    "EventError",
    "EventHandler",
    "HttpError",
    "MemoryBackplane",
    "MessageError",
    "On",
    "Payload",
    "Route",
    "WebSocketHandler",
    "commandEvents",
    "defaultLimits",
    "jsonEvents",
    "latest",
    "reliable",
    "roomPath",
    "skip",
    "spacedEvents",
  ]);
  expect(Object.keys(redis)).toEqual(["redis"]);
  expect(Object.keys(nats)).toEqual(["nats"]);
  expect(Object.keys(testing).sort()).toEqual(["ManualClock", "TestClient", "connect", "connectURL"]);
});

it("exports exactly the public types", () => {
  const index = readFileSync(join(import.meta.dirname, "../src/index.ts"), "utf8");
  const types = [...index.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, allTypes, names]) =>
    (names ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && (allTypes !== undefined || name.startsWith("type ")))
      .map((name) => name.replace(/^type /, "")),
  );
  expect(types.sort()).toEqual([
    "Address",
    "AppEvents",
    "AppOptions",
    "Application",
    "Authorized",
    "Backplane",
    "BackplaneContext",
    "BackplaneOutage",
    "BackplaneStatus",
    "BadMessage",
    "Bytes",
    "Channel",
    "Clock",
    "CloseCommand",
    "CloseInfo",
    "Connection",
    "ConnectionLimits",
    "ConnectionRequest",
    "Counts",
    "DecodedEvent",
    "Delivery",
    "DeliveryOptions",
    "DeliveryPolicy",
    "ErrorCode",
    "EventDeclaration",
    "EventFailure",
    "EventOptions",
    "EventProtocol",
    "Except",
    "Gap",
    "HandlerClass",
    "HistoryConfig",
    "HistoryOptions",
    "HistoryPage",
    "HistoryQuery",
    "IncomingEvent",
    "Limits",
    "LinkStatus",
    "ListenOptions",
    "Listening",
    "Logger",
    "MemoryOptions",
    "Message",
    "MessageIssue",
    "Origins",
    "OutgoingEvent",
    "PathParams",
    "Position",
    "PresenceChange",
    "PresenceEntry",
    "PresenceMode",
    "PresenceState",
    "PresenceUpdate",
    "PresentUser",
    "Publication",
    "ReadOptions",
    "Receiver",
    "Registry",
    "Room",
    "RoomNodes",
    "RoomPath",
    "RouteDeclaration",
    "RouteInfo",
    "RouteOptions",
    "RouteParams",
    "Schema",
    "Scope",
    "ScopeOptions",
    "SendOptions",
    "SharedOptions",
    "Status",
    "SubscribeOptions",
    "Subscription",
    "Timer",
    "Topic",
    "Totals",
    "User",
    "WriterOptions",
  ]);
});

it("offers each entry of the package with its types first", () => {
  const { exports } = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8"));
  expect(Object.keys(exports)).toEqual([".", "./client", "./redis", "./nats", "./testing", "./package.json"]);
  for (const entry of [exports["."], exports["./client"], exports["./redis"], exports["./nats"], exports["./testing"]])
    expect(Object.keys(entry)[0]).toBe("types");
});
