import { deferred } from "../connection/clock.js";
import type { Engine } from "./engine.js";

/** The number of channels in one command. */
const channelsMax = 500;

/** A subscription that the engine has not confirmed. */
interface PendingSubscription {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export interface SubscriptionsDeps {
  readonly engine: Pick<Engine, "subscribe" | "unsubscribe">;
  /** Receives the errors of subscribe and unsubscribe. */
  readonly onError: (error: unknown) => void;
}

/** The channels that this node subscribes to. They are subscribed again on each new connection to the engine. */
export class ChannelSubscriptions {
  readonly #deps: SubscriptionsDeps;
  readonly #wanted = new Map<string, PendingSubscription | undefined>();
  /** The channels to subscribe and to unsubscribe with the next commands. */
  readonly #adding = new Set<string>();
  readonly #removing = new Set<string>();
  #isScheduled = false;
  #isConnected = false;
  #hasTried = false;

  constructor(deps: SubscriptionsDeps) {
    this.#deps = deps;
  }

  /** Subscribes to `channel` until {@link remove}. Returns the result of {@link whenSubscribed}. */
  add(channel: string): Promise<void> | undefined {
    if (this.#wanted.has(channel)) return this.whenSubscribed(channel);
    // Callers wait while connected, and until the first attempt to connect has succeeded or failed.
    const pending = this.#isConnected || !this.#hasTried ? deferred<void>() : undefined;
    this.#wanted.set(channel, pending);
    this.#removing.delete(channel);
    this.#adding.add(channel);
    this.#flushSoon();
    return pending?.promise;
  }

  remove(channel: string): void {
    this.#wanted.get(channel)?.resolve();
    if (!this.#wanted.delete(channel)) return;
    if (!this.#adding.delete(channel)) this.#removing.add(channel);
    this.#flushSoon();
  }

  /**
   * Resolves when `channel` is subscribed, or cannot be subscribed now. `undefined` if that is decided already, or if
   * the channel was not added.
   */
  whenSubscribed(channel: string): Promise<void> | undefined {
    return this.#wanted.get(channel)?.promise;
  }

  /** Subscribes all channels on a new connection of the engine. Resolves when all of them are subscribed. */
  async renew(): Promise<void> {
    this.#isConnected = true;
    this.#hasTried = true;
    this.#adding.clear();
    const channels = [...this.#wanted.keys()];
    for (const channel of channels) this.#wanted.set(channel, this.#wanted.get(channel) ?? deferred<void>());
    await this.#subscribe(channels);
    // If only one of two connections was lost, the other one still has channels that were removed meanwhile.
    this.#flushSoon();
  }

  /** The connection is lost. Resolves all pending subscriptions. */
  disconnect(): void {
    this.#isConnected = false;
    this.#hasTried = true;
    for (const [channel, pending] of this.#wanted) {
      this.#wanted.set(channel, undefined);
      pending?.resolve();
    }
  }

  #flushSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#isConnected) this.#flush();
    });
  }

  #flush(): void {
    const [adding, removing] = [[...this.#adding], [...this.#removing]];
    this.#adding.clear();
    this.#removing.clear();
    for (const channels of chunksOf(removing)) this.#deps.engine.unsubscribe(channels).catch(this.#deps.onError);
    this.#subscribe(adding).catch(this.#deps.onError);
  }

  async #subscribe(all: readonly string[]): Promise<void> {
    await Promise.all(chunksOf(all).map((channels) => this.#subscribeChunk(channels)));
  }

  async #subscribeChunk(channels: readonly string[]): Promise<void> {
    const pending = channels.map((channel) => this.#wanted.get(channel));
    try {
      await this.#deps.engine.subscribe(channels);
    } catch (error) {
      this.#deps.onError(error);
    }
    for (const [index, channel] of channels.entries()) {
      const confirmed = pending[index];
      if (this.#wanted.get(channel) === confirmed && confirmed !== undefined) this.#wanted.set(channel, undefined);
      confirmed?.resolve();
    }
  }
}

function chunksOf(channels: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(channels.length / channelsMax);
  return Array.from({ length: count }, (_, index) => channels.slice(index * channelsMax, (index + 1) * channelsMax));
}
