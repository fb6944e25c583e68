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
    "BackplaneSetting",
    "BackplaneStatus",
    "BadMessage",
    "Bytes",
    "Channel",
    "Clock",
    "Closing",
    "Connection",
    "ConnectionLimits",
    "ConnectionRequest",
    "Counts",
    "DecodedEvent",
    "Delivery",
    "DeliveryOptions",
    "DeliveryPolicy",
    "Ending",
    "ErrorCode",
    "EventDeclaration",
    "EventFault",
    "EventOptions",
    "EventProtocol",
    "Except",
    "HandlerClass",
    "HistoryOptions",
    "HistoryTerms",
    "Holders",
    "IncomingEvent",
    "Kept",
    "KeptQuery",
    "Limits",
    "LinkStatus",
    "Listening",
    "Logger",
    "Loss",
    "MemoryOptions",
    "Message",
    "MessageIssue",
    "OnLoss",
    "Origins",
    "OutgoingEvent",
    "PathParams",
    "Position",
    "PresenceChange",
    "PresenceMode",
    "PresenceState",
    "PresentUser",
    "Publication",
    "ReadOptions",
    "Receiver",
    "Registry",
    "Room",
    "RoomPath",
    "RosterChange",
    "RosterEntry",
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
