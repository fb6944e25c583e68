import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Measure } from "./settings.js";

const sampleMs = 20;
/** Nanoseconds in a millisecond. */
const nanos = 1e6;
const ownNames = new Set(Object.getOwnPropertyNames(Object.prototype));

/** Samples the memory, the sockets and the event loop of this process. */
export class Meter {
  readonly #sockets = new Set<Socket>();
  readonly #loop = monitorEventLoopDelay({ resolution: 5 });
  #lastMemory = process.memoryUsage();
  #peakRss = 0;
  #peakHeap = 0;
  #peakSocketBytes = 0;

  constructor() {
    subscribe("net.server.socket", (message) => {
      // Node documents the message of this channel: `{ socket }`.
      const { socket } = message as { socket: Socket };
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#loop.enable();
    setInterval(() => this.#sample(), sampleMs).unref();
  }

  reset(): void {
    [this.#peakRss, this.#peakHeap, this.#peakSocketBytes] = [0, 0, 0];
    this.#loop.reset();
    this.#sample();
  }

  measure(collect: boolean): Measure {
    this.#sample();
    if (collect) globalThis.gc?.();
    const { rss, heapUsed, external } = this.#memory();
    const { user, system } = process.cpuUsage();
    return {
      rss,
      heap: heapUsed,
      external,
      peakRss: this.#peakRss,
      peakHeap: this.#peakHeap,
      peakSocketBytes: this.#peakSocketBytes,
      socketBytes: this.#waitingBytes().sum,
      sockets: this.#sockets.size,
      cpuMs: (user + system) / 1_000,
      loopP99: this.#loop.percentile(99) / nanos,
      loopMax: this.#loop.max / nanos,
      pollution: Object.getOwnPropertyNames(Object.prototype).filter((name) => !ownNames.has(name)),
    };
  }

  /** A process without a free file descriptor cannot read its memory, and reports the last that it knew. */
  #memory(): NodeJS.MemoryUsage {
    try {
      this.#lastMemory = process.memoryUsage();
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EMFILE")) throw error;
    }
    return this.#lastMemory;
  }

  #waitingBytes(): { readonly sum: number; readonly most: number } {
    let [sum, most] = [0, 0];
    for (const { writableLength } of this.#sockets) {
      sum += writableLength;
      most = Math.max(most, writableLength);
    }
    return { sum, most };
  }

  #sample(): void {
    const { rss, heapUsed, external } = this.#memory();
    this.#peakRss = Math.max(this.#peakRss, rss);
    this.#peakHeap = Math.max(this.#peakHeap, heapUsed + external);
    this.#peakSocketBytes = Math.max(this.#peakSocketBytes, this.#waitingBytes().most);
  }
}
