import type { Clock, Timer } from "../../connection/clock.js";
import type { TapBatch } from "../../server/diagnostics/tap.js";
import type { ExtensionHost } from "../../server/extensions/extension.js";
import type { EntryBatch, LiveFilter } from "../api.js";
import { batchOf, liveEntryOf } from "./entries.js";

/** Milliseconds between two batches of a tap. */
const batchMs = 250;
/** Milliseconds for which a tap of another node runs unless it is renewed. */
const leaseMs = 15_000;

/** Receives the batches of a tap. */
export type BatchListener = (batch: Omit<EntryBatch, "id">) => void;

export interface NodeTapsDeps {
  readonly app: ExtensionHost;
  readonly node: string;
  readonly clock: Clock;
  /** Whether a path is of the admin itself. */
  readonly isOwn: (path: string) => boolean;
}

interface OpenTap {
  readonly end: () => void;
  lease: Timer | undefined;
}

/** The taps that run on this node, for pages that any node serves. */
export class NodeTaps {
  readonly #deps: NodeTapsDeps;
  readonly #taps = new Map<string, OpenTap>();

  constructor(deps: NodeTapsDeps) {
    this.#deps = deps;
  }

  /**
   * Starts a tap for a page of this node.
   *
   * @param except The connection of the page.
   * @throws EnfiladeError `ERR_OPTION`, `ERR_PATH`, `ERR_USER` for an invalid filter.
   */
  open(key: string, filter: LiveFilter, except: string, listener: BatchListener): void {
    this.#taps.set(key, { end: this.#tap({ ...filter, except }, listener), lease: undefined });
  }

  /** Starts a tap for a page of another node, or renews it. */
  lend(key: string, filter: LiveFilter, listener: BatchListener): void {
    const tap = this.#taps.get(key) ?? { end: this.#tap(filter, listener), lease: undefined };
    tap.lease?.cancel();
    tap.lease = this.#deps.clock.setTimeout(() => this.close(key), leaseMs);
    this.#taps.set(key, tap);
  }

  close(key: string): void {
    const tap = this.#taps.get(key);
    this.#taps.delete(key);
    tap?.lease?.cancel();
    tap?.end();
  }

  closeAll(): void {
    for (const key of [...this.#taps.keys()]) this.close(key);
  }

  #tap(filter: LiveFilter & { readonly except?: string }, listener: BatchListener): () => void {
    const { app, node, isOwn } = this.#deps;
    return app.tap(filter, ({ entries, missed }: TapBatch) => {
      const shown = entries.flatMap((entry) => liveEntryOf(entry, isOwn) ?? []);
      if (shown.length > 0 || missed > 0) listener(batchOf(node, shown, missed));
      return this.#pause();
    });
  }

  /** Meanwhile further entries wait, and the oldest of too many are dropped. */
  #pause(): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.setTimeout(resolve, batchMs));
  }
}
