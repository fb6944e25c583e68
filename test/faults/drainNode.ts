/**
 * A node in a process of its own: `node --import tsx drainNode.ts <url of redis>`.
 *
 * Reads commands and prints their results, one JSON value per line each: first its port, then for `watch` nothing, for
 * `publish` nothing, for `stop` the number of publications, for `drain` the result, and for `report` what it measured.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { App, type DrainOptions, WebSocketHandler } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";

/** A command of the test. */
export type Command =
  | { readonly do: "watch" | "stop" | "report" }
  | { readonly do: "publish"; readonly rooms: number; readonly intervalMs: number }
  | { readonly do: "drain"; readonly options: DrainOptions };

/** What a node measured since `watch`. */
export interface Report {
  /** The clients that connected in each second. */
  readonly perSecond: readonly number[];
  /** Delays of the event loop in milliseconds. */
  readonly p99Ms: number;
  readonly maxMs: number;
}

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
  }
}

const [url = ""] = process.argv.slice(2);
const limits = { connectionsPerAddressMax: 10_000, connectionsMax: 10_000 };
const app = new App({ backplane: redis(url), limits }).route("/kept/:name", Chat, { history: { size: 1_000 } });
const server = createServer((_request, response) => response.writeHead(app.status().ready ? 204 : 503).end());
app.attach(server);

const delays = monitorEventLoopDelay({ resolution: 1 });
const perSecond: number[] = [];
let watchedAt = 0;
app.on("open", () => {
  const second = Math.floor((performance.now() - watchedAt) / 1_000);
  perSecond[second] = (perSecond[second] ?? 0) + 1;
});

let published = 0;
let publishing: NodeJS.Timeout | undefined;

async function run(command: Command): Promise<unknown> {
  switch (command.do) {
    case "watch":
      perSecond.length = 0;
      watchedAt = performance.now();
      delays.enable();
      delays.reset();
      return null;
    case "publish":
      publishing = setInterval(() => {
        void app.registry.room(`/kept/${published % command.rooms}`).publish(Math.floor(published / command.rooms));
        published += 1;
      }, command.intervalMs);
      return null;
    case "stop":
      clearInterval(publishing);
      return published;
    case "drain":
      return app.drain(command.options);
    case "report": {
      const counts = Array.from(perSecond, (count = 0) => count);
      return { perSecond: counts, p99Ms: delays.percentile(99) / 1e6, maxMs: delays.max / 1e6 } satisfies Report;
    }
  }
}

server.listen(0, "127.0.0.1");
await once(server, "listening");
// It listens on TCP.
console.log((server.address() as AddressInfo).port);
// When the parent process ends, this one ends too.
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await run(JSON.parse(line))));
process.exit();
