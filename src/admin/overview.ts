import type { Clock, Timer } from "../connection/clock.js";
import type { Totals } from "../counters.js";
import type { ExtensionHost } from "../server/extensions/extension.js";
import type { NodeOverview, NodeRates } from "./api.js";

const secondMs = 1_000;

interface Sample {
  readonly at: number;
  readonly totals: Totals;
}

/** The state of this node, with its rates over the last second. */
export class OverviewSource {
  readonly #node: string;
  readonly #app: ExtensionHost;
  readonly #clock: Clock;
  #last: Sample;
  #rates: NodeRates = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0 };
  #timer: Timer | undefined;

  constructor(node: string, app: ExtensionHost, clock: Clock) {
    this.#node = node;
    this.#app = app;
    this.#clock = clock;
    this.#last = this.#sample();
  }

  /** Takes a sample of the totals every second, until {@link stop}. */
  start(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#measure();
      this.start();
    }, secondMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async read(): Promise<Omit<NodeOverview, "isThis">> {
    const { loopDelayMs, memory, ready, backplane } = await this.#app.health();
    const { connections, rooms, users, totals, memory: held } = this.#app.status();
    const { opened, closed, refused, received, delivered, dropped, slow } = totals;
    return {
      node: this.#node,
      ready,
      backplane: { engine: backplane.engine, state: backplane.state },
      connections,
      rooms,
      users,
      uptimeSeconds: Math.round(process.uptime()),
      loopDelayMs: loopDelayMs.p99,
      memory: { residentBytes: memory.rssBytes, heapBytes: memory.heapUsedBytes, clientBytes: held.bytes },
      totals: { opened, closed, refused, received, delivered, dropped, slow },
      rates: this.#rates,
    };
  }

  #sample(): Sample {
    return { at: this.#clock.now(), totals: this.#app.status().totals };
  }

  #measure(): void {
    const [before, now] = [this.#last, this.#sample()];
    const seconds = Math.max(1, now.at - before.at) / secondMs;
    const rate = (name: "received" | "delivered" | "receivedBytes" | "sentBytes") =>
      Math.round((now.totals[name] - before.totals[name]) / seconds);
    this.#last = now;
    this.#rates = {
      messagesIn: rate("received"),
      messagesOut: rate("delivered"),
      bytesIn: rate("receivedBytes"),
      bytesOut: rate("sentBytes"),
    };
  }
}
