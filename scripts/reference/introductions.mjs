// The text of the pages before and after the names.

/** Each subpath in the order of the index, with its introduction and the pages to read next. */
export const introductions = new Map([
  [
    "enfilade",
    {
      text: "The server: handlers, routes, rooms, events, limits and errors.",
      example: 'import { App, Route, WebSocketHandler } from "enfilade";',
      next: ["handlers", "rooms", "events", "contracts", "limits", "errors"],
    },
  ],
  [
    "client",
    {
      text: "The client for browsers and Node.js: it reconnects, resumes, and sends requests.",
      example: 'import { connect } from "enfilade/client";',
      next: ["client", "history-and-recovery", "presence", "typescript"],
    },
  ],
  [
    "contract",
    {
      text: "Contracts for a file that a page imports, too: the same `contract()` as that of `enfilade`, without the server.",
      example: 'import { contract } from "enfilade/contract";',
      next: ["contracts", "client", "typescript"],
    },
  ],
  [
    "fallback",
    {
      text: "For the client: plain HTTP where no WebSocket can be opened.",
      example: 'import { httpFallback } from "enfilade/fallback";',
      next: ["client", "http"],
    },
  ],
  [
    "react",
    {
      text: "Hooks for React 19: components connect to rooms and share connections. They need the package `react`.",
      example: 'import { useEvent, usePresence, useRequest, useRoom } from "enfilade/react";',
      next: ["react", "client", "typescript"],
    },
  ],
  [
    "testing",
    {
      text: "Tools for tests: clients without a port, and a clock that a test moves.",
      example: 'import { connect, ManualClock } from "enfilade/testing";',
      next: ["testing", "handlers"],
    },
  ],
  [
    "redis",
    {
      text: "The backplane over Redis or Valkey: it connects several nodes. It needs the package `ioredis`.",
      example: 'import { redis } from "enfilade/redis";',
      next: ["many-nodes", "deployment"],
    },
  ],
  [
    "nats",
    {
      text:
        "The backplane over NATS: it connects several nodes.\n" +
        "It needs the packages `@nats-io/transport-node` and `@nats-io/jetstream`.",
      example: 'import { nats } from "enfilade/nats";',
      next: ["many-nodes", "deployment"],
    },
  ],
  [
    "tickets",
    {
      text: "Tickets: tokens for one connection. They need the package `jose`.",
      example: 'import { tickets } from "enfilade/tickets";',
      next: ["deployment", "handlers"],
    },
  ],
  [
    "metrics",
    {
      text: "Metrics for Prometheus. They need the package `@prometheus-io/client` or `prom-client`.",
      example: 'import { metrics } from "enfilade/metrics";',
      next: ["metrics", "diagnostics", "extensions"],
    },
  ],
  [
    "admin",
    {
      text: "Pages for operators of an app, and the same data as JSON.",
      example: 'import { admin } from "enfilade/admin";',
      next: ["admin", "extensions", "diagnostics"],
    },
  ],
  [
    "backplane",
    {
      text: "The interfaces for a backplane or an engine of your own. An application does not need them.",
      example: 'import { ClusterBackplane, type Engine } from "enfilade/backplane";',
      next: ["many-nodes", "deployment"],
    },
  ],
]);

/** How code imports a page's names. */
export function specifierOf(page) {
  return page === "enfilade" ? page : `enfilade/${page}`;
}

/** The titles of the pages that a reference page links to. */
export const titles = {
  client: "Client",
  contracts: "Contracts",
  deployment: "Deployment",
  diagnostics: "Diagnostics",
  errors: "Errors",
  events: "Events",
  extensions: "Extensions",
  handlers: "Handlers",
  http: "Rooms over HTTP",
  "history-and-recovery": "History and recovery",
  limits: "Limits",
  "many-nodes": "Many nodes",
  metrics: "Metrics",
  presence: "Presence",
  rooms: "Rooms",
  testing: "Testing",
  typescript: "TypeScript",
};
