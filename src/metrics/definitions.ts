import type { AppMetrics } from "./appMetrics.js";
import { type Sample, single } from "./sample.js";

/** How the nodes of Node's `cluster` are combined, by the client: default `sum`. */
type Aggregator = "sum" | "min" | "max";

/** A metric: its name after the prefix, and where its values come from. */
export interface Definition {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly aggregator?: Aggregator;
  readonly read: (metrics: AppMetrics) => readonly Sample[];
}

const counter = (name: string, help: string, value: (metrics: AppMetrics) => number): Definition => ({
  name,
  type: "counter",
  help,
  read: (metrics) => single(value(metrics)),
});

const gauge = (
  name: string,
  help: string,
  value: (metrics: AppMetrics) => number,
  aggregator?: Aggregator,
): Definition => ({
  name,
  type: "gauge",
  help,
  ...(aggregator !== undefined && { aggregator }),
  read: (metrics) => single(value(metrics)),
});

const connections: readonly Definition[] = [
  gauge(
    "ready",
    "1 if this node accepts clients and reaches its engine, else 0.",
    (m) => Number(m.status.ready),
    "min",
  ),
  gauge("connections", "Open connections of this node.", ({ status }) => status.connections),
  gauge("rooms", "Open rooms of this node.", ({ status }) => status.rooms),
  gauge("users", "Users with a connection to this node.", ({ status }) => status.users),
  gauge("handshakes", "Upgrade requests that wait for an answer.", ({ status }) => status.handshakes),
  counter("connections_opened_total", "Connections that were opened.", ({ status }) => status.totals.opened),
  {
    name: "connections_closed_total",
    type: "counter",
    help: "Connections that have ended, by close code and by the side that ended them.",
    read: ({ closes }) => closes,
  },
  {
    name: "connections_refused_total",
    type: "counter",
    help: "Refused upgrade requests, by HTTP status and by reason.",
    read: ({ refusals }) => refusals,
  },
  {
    name: "resumes_total",
    type: "counter",
    help: "Clients that asked for what they had missed, by outcome: recovered, or why not.",
    read: ({ resumes }) => resumes,
  },
];

const messages: readonly Definition[] = [
  counter("messages_received_total", "Messages received from clients.", ({ status }) => status.totals.received),
  counter("received_bytes_total", "Bytes of received messages.", ({ status }) => status.totals.receivedBytes),
  counter("deliveries_total", "Messages handed to a connection.", ({ status }) => status.totals.delivered),
  counter("sent_bytes_total", "Bytes of messages written to sockets.", ({ status }) => status.totals.sentBytes),
  {
    name: "deliveries_dropped_total",
    type: "counter",
    help: "Messages dropped or replaced for a client that lagged, by delivery policy.",
    read: ({ status: { totals } }) => [
      { labels: { policy: "skip" }, value: totals.dropped - totals.replaced },
      { labels: { policy: "latest" }, value: totals.replaced },
    ],
  },
  {
    name: "handler_seconds",
    type: "histogram",
    help: "Duration of calls of handler methods, until their promises have settled, without serve.",
    read: ({ calls }) => calls,
  },
  counter("errors_total", "Errors that no caller received.", ({ errors }) => errors),
];

const load: readonly Definition[] = [
  counter("clients_behind_total", "Clients that lagged and went back to the history.", (m) => m.status.totals.behind),
  counter("slow_closes_total", "Connections closed since the client read too slowly.", (m) => m.status.totals.slow),
  counter("memory_pauses_total", "Sockets paused by memoryBytesMax.", (m) => m.status.totals.memoryPauses),
  counter("memory_closes_total", "Connections closed by memoryBytesMax.", (m) => m.status.totals.memoryCloses),
  counter("receipts_forgotten_total", "Answered frames forgotten early.", (m) => m.status.totals.receiptsForgotten),
  gauge("inbox_bytes", "Received messages that wait for their handlers.", ({ status }) => status.memory.inboxBytes),
  gauge("unfinished_bytes", "Messages of which a part has arrived.", ({ status }) => status.memory.unfinishedBytes),
  gauge("outbox_bytes", "Messages that wait for their clients.", ({ status }) => status.memory.outboxBytes),
  gauge("receipts_bytes", "Remembered frames with their replies.", ({ status }) => status.memory.receiptBytes),
  gauge("streams_bytes", "Values of streamed replies that wait.", ({ status }) => status.memory.streamBytes),
  counter("flushes_total", "Flushes of messages to the sockets.", ({ status }) => status.flush.count),
  gauge("flush_max_seconds", "The longest flush so far.", ({ status }) => status.flush.msMax / 1_000, "max"),
  {
    name: "event_loop_delay_seconds",
    type: "gauge",
    help: "Delay of the event loop since the last scrape: median, 99th percentile and maximum.",
    aggregator: "max",
    read: ({ loopDelayMs: { p50, p99, max } }) => [
      { labels: { quantile: "0.5" }, value: p50 / 1_000 },
      { labels: { quantile: "0.99" }, value: p99 / 1_000 },
      { labels: { quantile: "1" }, value: max / 1_000 },
    ],
  },
];

const backplane: readonly Definition[] = [
  gauge("history_bytes", "History in this process.", ({ status }) => status.historyBytes),
  gauge("history_rooms", "Rooms with history in this process.", ({ status }) => status.historyRooms),
  counter("history_evictions_total", "Histories dropped to make space.", ({ status }) => status.historyEvictions),
  {
    name: "publish_seconds",
    type: "histogram",
    help: "Time until the backplane has accepted a publication, by its address.",
    read: ({ publications }) => publications,
  },
  {
    name: "backplane_up",
    type: "gauge",
    help: "1 if the engine can be reached, else 0.",
    aggregator: "min",
    read: ({ status: { backplane: link } }) => [
      { labels: { engine: link.engine }, value: Number(link.state === "up") },
    ],
  },
  gauge("backplane_nodes", "Known nodes of the cluster.", ({ status }) => status.backplane.nodes, "max"),
  counter("backplane_malformed_total", "Messages of nodes not decoded.", ({ status }) => status.backplane.malformed),
  counter("backplane_healed_total", "Gaps between nodes closed later.", ({ status }) => status.backplane.healed),
  counter("backplane_lagged_total", "Losses for good, reported to rooms.", ({ status }) => status.backplane.lagged),
  counter("backplane_unpublished_total", "Rejected publications.", ({ status }) => status.backplane.unpublished),
];

/** All metrics, in the order of the text. */
export const definitions: readonly Definition[] = [...connections, ...messages, ...load, ...backplane];
