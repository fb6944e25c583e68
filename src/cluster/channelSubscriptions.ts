import { deferred } from "../connection/clock.js";
import type { Engine } from "./engine.js";

/** Channels that one command may name. */
const channelsMax = 500;

/** A channel that is wanted and not heard yet. */
interface Pending {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export interface SubscriptionsDeps {
  readonly engine: Pick<Engine, "subscribe" | "unsubscribe">;
  /** Takes why a channel could not be subscribed, or left. */
  readonly failed: (error: unknown) => void;
}

/** The channels that this node wants to hear, whatever becomes of its connections to the engine. */
export class ChannelSubscriptions {
  readonly #deps: SubscriptionsDeps;
  readonly #wanted = new Map<string, Pending | undefined>();
  /** Not told to the engine yet. */
  readonly #adding = new Set<string>();
  readonly #removing = new Set<string>();
  #scheduled = false;
  #connected = false;
  #tried = false;

  constructor(parts: SubscriptionsDeps) {
    this.#deps = parts;
  }

  /** Wants `channel`; what {@link heard} returns. */
  add(channel: string): Promise<void> | undefined {
    if (this.#wanted.has(channel)) return this.heard(channel);
    // Before the first attempt to connect is decided, whoever comes waits for it.
    const pending = this.#connected || !this.#tried ? deferred<void>() : undefined;
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

  /** Resolves when `channel` is heard, or cannot be now; `undefined` when it is, cannot be, or is not wanted. */
  heard(channel: string): Promise<void> | undefined {
    return this.#wanted.get(channel)?.promise;
  }

  /** The engine is connected anew and knows of no channel. Resolves when all that are wanted are heard. */
  async renew(): Promise<void> {
    this.#connected = true;
    this.#tried = true;
    this.#adding.clear();
    const channels = [...this.#wanted.keys()];
    for (const channel of channels) this.#wanted.set(channel, this.#wanted.get(channel) ?? deferred<void>());
    await this.#subscribe(channels);
    // Where only a part of the connections was lost, the other one still hears what is not wanted any more.
    this.#flushSoon();
  }

  /** Nothing is heard until the engine is back; nobody waits for that. */
  lose(): void {
    this.#connected = false;
    this.#tried = true;
    for (const [channel, pending] of this.#wanted) {
      this.#wanted.set(channel, undefined);
      pending?.resolve();
    }
  }

  #flushSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#connected) this.#flush();
    });
  }

  #flush(): void {
    const [adding, removing] = [[...this.#adding], [...this.#removing]];
    this.#adding.clear();
    this.#removing.clear();
    for (const channels of parts(removing)) this.#deps.engine.unsubscribe(channels).catch(this.#deps.failed);
    this.#subscribe(adding).catch(this.#deps.failed);
  }

  async #subscribe(all: readonly string[]): Promise<void> {
    await Promise.all(parts(all).map((channels) => this.#subscribePart(channels)));
  }

  async #subscribePart(channels: readonly string[]): Promise<void> {
    const pending = channels.map((channel) => this.#wanted.get(channel));
    try {
      await this.#deps.engine.subscribe(channels);
    } catch (error) {
      this.#deps.failed(error);
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
