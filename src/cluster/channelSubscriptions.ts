import { deferred } from "../connection/clock.js";
import type { Engine } from "./engine.js";

/** Channels that one command may name. */
const channelsMax = 500;

/** A channel that is wanted and not subscribed yet. */
interface Pending {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export interface SubscriptionsDeps {
  readonly engine: Pick<Engine, "subscribe" | "unsubscribe">;
  /** Takes why a channel could not be subscribed or unsubscribed. */
  readonly onError: (error: unknown) => void;
}

/** The channels that this node wants to be subscribed to, over all its connections to the engine. */
export class ChannelSubscriptions {
  readonly #deps: SubscriptionsDeps;
  readonly #wanted = new Map<string, Pending | undefined>();
  /** Not sent to the engine yet. */
  readonly #adding = new Set<string>();
  readonly #removing = new Set<string>();
  #isScheduled = false;
  #isConnected = false;
  #hasTried = false;

  constructor(deps: SubscriptionsDeps) {
    this.#deps = deps;
  }

  /** Subscribes to `channel` from now on; returns what {@link subscribed} returns. */
  add(channel: string): Promise<void> | undefined {
    if (this.#wanted.has(channel)) return this.subscribed(channel);
    // Before the first attempt to connect has succeeded or failed, callers wait for it.
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
   * Resolves when `channel` is subscribed, or cannot be now. `undefined` when that is so already, or when the channel is
   * not wanted.
   */
  subscribed(channel: string): Promise<void> | undefined {
    return this.#wanted.get(channel)?.promise;
  }

  /** The engine has a new connection without subscriptions. Resolves when all wanted channels are subscribed. */
  async renew(): Promise<void> {
    this.#isConnected = true;
    this.#hasTried = true;
    this.#adding.clear();
    const channels = [...this.#wanted.keys()];
    for (const channel of channels) this.#wanted.set(channel, this.#wanted.get(channel) ?? deferred<void>());
    await this.#subscribe(channels);
    // Where only one of two connections was lost, the other may have subscriptions that are no longer wanted.
    this.#flushSoon();
  }

  /** The connection is lost. Nothing waits for the next one. */
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
    for (const channels of parts(removing)) this.#deps.engine.unsubscribe(channels).catch(this.#deps.onError);
    this.#subscribe(adding).catch(this.#deps.onError);
  }

  async #subscribe(all: readonly string[]): Promise<void> {
    await Promise.all(parts(all).map((channels) => this.#subscribePart(channels)));
  }

  async #subscribePart(channels: readonly string[]): Promise<void> {
    const pending = channels.map((channel) => this.#wanted.get(channel));
    try {
      await this.#deps.engine.subscribe(channels);
    } catch (error) {
      this.#deps.onError(error);
    }
    for (const [index, channel] of channels.entries()) {
      const subscribed = pending[index];
      if (this.#wanted.get(channel) === subscribed && subscribed !== undefined) this.#wanted.set(channel, undefined);
      subscribed?.resolve();
    }
  }
}

function parts(channels: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(channels.length / channelsMax);
  return Array.from({ length: count }, (_, index) => channels.slice(index * channelsMax, (index + 1) * channelsMax));
}
