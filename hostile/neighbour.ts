/**
 * The healthy neighbours of all servers, in a process of their own: `node neighbour.mjs`, with an IPC
 * channel. A neighbour sends a number every few milliseconds, and expects each of them back.
 */
import { WebSocket } from "ws";

/** The healthy client of one server, as its parent orders it. */
export type NeighbourOrder =
  | { readonly to: number; readonly do: "watch"; readonly name: string; readonly url: string }
  | { readonly to: number; readonly do: "window"; readonly name: string }
  | { readonly to: number; readonly do: "stop"; readonly name: string; readonly patienceMs: number };

/** What a neighbour saw since it began, or since its last window. */
export interface Sight {
  readonly sent: number;
  readonly echoed: number;
  /** Milliseconds. */
  readonly p99: number;
  readonly max: number;
  /** How its connection ended, if it did. */
  readonly ended: string | undefined;
}

export interface NeighbourAnswer {
  readonly to: number;
  readonly sight?: Sight;
  readonly error?: string;
}

/** Milliseconds between two echoes. */
const everyMs = 10;
const pollMs = 10;

class Neighbour {
  readonly #socket: WebSocket;
  readonly #sentAt = new Map<string, number>();
  readonly opened: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #window: number[] = [];
  #all: number[] = [];
  #sent = 0;
  #echoed = 0;
  #ended: string | undefined;

  constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.opened = new Promise((resolve, reject) => {
      this.#socket.on("open", resolve);
      this.#socket.on("error", reject);
    });
    this.#socket.on("close", (code, reason) => {
      clearInterval(this.#timer);
      this.#ended ??= `${code} ${reason}`;
    });
    this.#socket.on("message", (data) => this.#take(String(data)));
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#sent += 1;
      this.#sentAt.set(String(this.#sent), performance.now());
      this.#socket.send(String(this.#sent));
    }, everyMs);
  }

  /** What it saw since the last window. An echo that is still missing counts with its age. */
  window(): Sight {
    const now = performance.now();
    const sight = this.#sight([...this.#window, ...[...this.#sentAt.values()].map((at) => now - at)]);
    this.#window = [];
    return sight;
  }

  async stop(patienceMs: number): Promise<Sight> {
    clearInterval(this.#timer);
    const end = performance.now() + patienceMs;
    while (this.#sentAt.size > 0 && this.#ended === undefined && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    const sight = this.#sight(this.#all);
    this.#socket.terminate();
    return sight;
  }

  #sight(latencies: readonly number[]): Sight {
    const sorted = latencies.toSorted((a, b) => a - b);
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
    return { sent: this.#sent, echoed: this.#echoed, p99, max: sorted.at(-1) ?? 0, ended: this.#ended };
  }

  #take(number: string): void {
    const at = this.#sentAt.get(number);
    if (at === undefined) {
      this.#ended = `an echo that it did not wait for: ${number.slice(0, 40)}`;
      return;
    }
    this.#sentAt.delete(number);
    this.#echoed += 1;
    const latency = performance.now() - at;
    this.#window.push(latency);
    this.#all.push(latency);
  }
}

const neighbours = new Map<string, Neighbour>();

async function obey(order: NeighbourOrder): Promise<Sight | undefined> {
  if (order.do === "watch") {
    const neighbour = new Neighbour(order.url);
    await neighbour.opened;
    neighbour.start();
    neighbours.set(order.name, neighbour);
    return undefined;
  }
  const neighbour = neighbours.get(order.name);
  if (neighbour === undefined) throw new Error(`there is no neighbour ${order.name}`);
  return order.do === "window" ? neighbour.window() : neighbour.stop(order.patienceMs);
}

process.on("disconnect", () => process.exit());
process.on("message", async (order: NeighbourOrder) => {
  const answer: NeighbourAnswer = await obey(order).then(
    (sight) => ({ to: order.to, ...(sight && { sight }) }),
    (error: unknown) => ({ to: order.to, error: String(error) }),
  );
  process.send?.(answer);
});
