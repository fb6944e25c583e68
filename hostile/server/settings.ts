import type { AppOptions, Position } from "../../src/index.js";
import type { EngineAddress } from "../../test/support/engineAddress.js";

/** The settings of a server process, as JSON. */
export interface ServerSettings {
  /** Limits of the app. A name that this version does not know is left out, and reported as unknown. */
  readonly limits?: Readonly<Record<string, number | false>>;
  /** Other options of the app, such as `origins`. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What reads frames without compression. Default: the `--receiver` of the run, or that of the app. */
  readonly receiver?: AppOptions["receiver"];
  /** Default: a single node in memory. */
  readonly engine?: EngineAddress;
  /** Options of the backplane over the engine. */
  readonly backplane?: object;
  /** Megabytes of heap (`--max-old-space-size`). Default: that of Node.js. */
  readonly heapMB?: number;
  /** File descriptors of the process (`ulimit -n`). Default: those of the parent. */
  readonly filesMax?: number;
  /** The port to listen on. Default: a free one. */
  readonly port?: number;
}

/** A command to the server process. Each has one answer. */
export type Command =
  | { readonly do: "measure"; readonly collect: boolean }
  | { readonly do: "resetPeaks" }
  | { readonly do: "objects" }
  | { readonly do: "status" }
  | { readonly do: "health" }
  | { readonly do: "log" }
  | { readonly do: "tally" }
  | { readonly do: "block"; readonly ms: number }
  | { readonly do: "publish"; readonly path: string; readonly text: string }
  | { readonly do: "room"; readonly path: string }
  | { readonly do: "start"; readonly publishing: Publishing }
  | { readonly do: "stop" };

/** A publisher that sends numbers to rooms, one room after another, until it is stopped. */
export interface Publishing {
  readonly paths: readonly string[];
  readonly perSecond: number;
  /** Characters of each text after its number. 0: numbers as JSON. */
  readonly padding: number;
}

export interface Measure {
  /** Bytes, after a garbage collection if one was asked for. */
  readonly rss: number;
  readonly heap: number;
  /** Bytes of buffers outside of the heap. */
  readonly external: number;
  /** The highest `rss`, `heap` and `external` since the last reset, sampled every 20 ms. */
  readonly peakRss: number;
  readonly peakHeap: number;
  /** The most bytes that waited in one socket, and the sum over all sockets, since the last reset. */
  readonly peakSocketBytes: number;
  readonly socketBytes: number;
  readonly sockets: number;
  /** Milliseconds of CPU since the start of the process. */
  readonly cpuMs: number;
  /** Milliseconds: the delays of the event loop since the last reset. */
  readonly loopP99: number;
  readonly loopMax: number;
  /** Names on `Object.prototype` that do not belong there. */
  readonly pollution: readonly string[];
}

/** What the heap of the server holds after a garbage collection. */
export interface Objects {
  readonly bytes: number;
  /** Timers, also those that do not keep a process running. */
  readonly timers: number;
  /** Functions, and so listeners. */
  readonly functions: number;
  readonly rooms: number;
  readonly sessions: number;
  readonly processListeners: number;
}

/** The log of a server process. */
export interface Log {
  /** The newest lines of `logger.warn` and `logger.error`. */
  readonly lines: readonly string[];
  /** The number of all lines. */
  readonly count: number;
  /** The newest errors of `app.on("error")`, with their stacks. */
  readonly errors: readonly string[];
  readonly errorCount: number;
}

/** What the server knows of a room. */
export interface RoomView {
  readonly members: number;
  /** The texts or values that its history keeps, the oldest first; empty if it has none. */
  readonly history: readonly unknown[];
  /** The position of the newest of them. */
  readonly position: Position | undefined;
  /** The ids of the users, in any order; empty if it has no presence. */
  readonly users: readonly string[];
}

/** Counts by name, which the handlers of the server keep. */
export type Tally = Readonly<Record<string, number>>;

/** A message from the server process. */
export type Report =
  | { readonly kind: "listens"; readonly port: number; readonly unknownLimits: readonly string[] }
  | { readonly kind: "answer"; readonly to: number; readonly value?: unknown; readonly error?: string }
  /** An unhandled rejection or an uncaught exception: the row fails. */
  | { readonly kind: "unhandled"; readonly error: string };
