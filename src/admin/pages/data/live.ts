import { type ClientRoom, type ClientState, connect } from "enfilade/client";
import type { EntryBatch, LiveCalls, LiveEvents, LiveFilter, Overview } from "../../api.js";
import { adminURL, get, urlOf } from "./calls.js";
import { Recent } from "./recent.js";
import { Store } from "./store.js";

type Calls = { readonly [Event in keyof LiveCalls]: (data: LiveCalls[Event]) => unknown };

interface Tap {
  /** A new one for each request, so that entries of an earlier one are recognised. */
  id: string;
  readonly filter: LiveFilter;
  onBatch(batch: EntryBatch): void;
  onRefusal(reason: string): void;
}

const pollMs = 2000;

/** What the server pushes: the overview and the entries of taps. Asks for the overview while there is no connection. */
class Live {
  readonly state = new Store<ClientState>("connecting");
  readonly overview = new Store<Overview | undefined>(undefined);
  readonly recent = new Recent();
  readonly #room: ClientRoom<Calls, LiveEvents>;
  readonly #taps = new Set<Tap>();
  #lastId = 0;
  /** Ends the requests of one connection, which the client would repeat on the next one. */
  #connection = new AbortController();

  constructor() {
    this.#room = connect<Calls, LiveEvents>(new URL("live", adminURL));
    this.#room.onEvent("overview", (overview) => this.#show(overview));
    this.#room.onEvent("entries", (batch) => this.#pass(batch));
    this.#room.on("error", () => undefined);
    this.#room.on("state", (state) => this.#onState(state));
    setInterval(() => void this.#poll(), pollMs);
    void this.#poll();
  }

  /** Starts a tap, also after each reconnect. Returns a function that ends it. */
  tap(filter: LiveFilter, onBatch: Tap["onBatch"], onRefusal: Tap["onRefusal"]): () => void {
    const tap = { id: "", filter, onBatch, onRefusal };
    this.#taps.add(tap);
    if (this.state.value === "open") void this.#start(tap);
    return () => {
      this.#taps.delete(tap);
      if (this.state.value === "open") this.#room.emit("untap", { id: tap.id });
    };
  }

  #onState(state: ClientState): void {
    this.state.set(state);
    this.#connection.abort();
    this.#connection = new AbortController();
    if (state === "open") for (const tap of this.#taps) void this.#start(tap);
  }

  async #start(tap: Tap): Promise<void> {
    const { signal } = this.#connection;
    this.#lastId += 1;
    tap.id = `tap-${this.#lastId}`;
    try {
      await this.#room.request("tap", { id: tap.id, filter: tap.filter }, { signal });
    } catch (error) {
      if (!signal.aborted && this.#taps.has(tap)) tap.onRefusal(error instanceof Error ? error.message : String(error));
    }
  }

  #pass(batch: EntryBatch): void {
    for (const tap of this.#taps) if (tap.id === batch.id) tap.onBatch(batch);
  }

  #show(overview: Overview): void {
    this.recent.add(overview);
    this.overview.set(overview);
  }

  async #poll(): Promise<void> {
    if (this.state.value === "open" && this.overview.value !== undefined) return;
    // Without an answer the page shows what it has; the state of the connection is in its header.
    const overview = await get<Overview>(urlOf("overview")).catch(() => undefined);
    if (overview !== undefined) this.#show(overview);
  }
}

export const live = new Live();
