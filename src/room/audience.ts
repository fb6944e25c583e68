import type { Gap } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import { channels } from "../diagnostics.js";
import type { Member } from "../protocol/dialect.js";

/** Takes what is sent to a member that is not ready yet. Never throws. */
export interface DeliverySink {
  take(delivery: Delivery): void;
  /** Publications of its home were lost between nodes. */
  lag(): void;
  /** The member is not there any more. */
  cancel(): void;
}

/** Code that hears what an audience is sent. Never throws. */
export interface DeliveryListener {
  take(delivery: Delivery): void;
  /** So many are lost, if that is known. */
  lose(count: number | undefined): void;
  /** There will be no more. */
  end(): void;
}

/** A set of connections addressed as one: those in a room, in a channel, of a user, or all. */
export class Audience {
  readonly members = new Set<Member>();
  #listeners: Set<DeliveryListener> | undefined;
  #catchUpBuffers: Map<Member, DeliverySink> | undefined;
  #subscribed: Promise<void> | undefined;

  /** @param address The path it is known by to its members; `undefined` where it has none. */
  constructor(readonly address?: string) {}

  /** Whether anybody would take what is sent. */
  get inUse(): boolean {
    return this.members.size > 0 || (this.#listeners !== undefined && this.#listeners.size > 0);
  }

  /**
   * The one send loop: bytes are made once for all who get the same.
   *
   * @throws what the event protocol of a member threw, once all others have theirs.
   */
  deliver(delivery: Delivery): void {
    delivery.address = this.address;
    let failure: { readonly error: unknown } | undefined;
    for (const member of this.members) {
      try {
        const buffer = this.#catchUpBuffers?.get(member);
        if (buffer === undefined) deliverTo(member, delivery);
        else buffer.take(delivery);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (this.#listeners !== undefined) for (const listener of this.#listeners) listener.take(delivery);
    if (failure !== undefined) throw failure.error;
  }

  /** Resolves when this node receives what is sent to the audience; `undefined` when it does. */
  get subscribed(): Promise<void> | undefined {
    return this.#subscribed;
  }

  /** @param subscribed Resolves when this node receives; never rejects. */
  whenSubscribed(subscribed: Promise<void> | undefined): void {
    this.#subscribed = subscribed?.then(() => {
      this.#subscribed = undefined;
    });
  }

  /** Reports to everyone who can take it that publications were lost. */
  reportGap(gap: Gap): void {
    const { address } = this;
    for (const member of this.members) {
      const buffer = this.#catchUpBuffers?.get(member);
      // One that reads what is kept finds out by that.
      if (buffer !== undefined) buffer.lag();
      else if (address !== undefined) reportGapTo(member, gap, address);
    }
    for (const listener of this.#listeners ?? []) listener.lose(gap.missed);
  }

  listen(listener: DeliveryListener): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  unlisten(listener: DeliveryListener): void {
    this.#listeners?.delete(listener);
  }

  /** Has every listener end. */
  endSubscriptions(): void {
    for (const listener of [...(this.#listeners ?? [])]) listener.end();
  }

  /** Has `buffer` take what `member` would be sent; `undefined`: it is ready. */
  replace(member: Member, buffer: DeliverySink | undefined): void {
    if (buffer !== undefined) {
      this.#catchUpBuffers ??= new Map();
      this.#catchUpBuffers.set(member, buffer);
    } else {
      this.#catchUpBuffers?.get(member)?.cancel();
      this.#catchUpBuffers?.delete(member);
      if (this.#catchUpBuffers?.size === 0) this.#catchUpBuffers = undefined;
    }
  }

  /** Everyone who is in any of these, once. */
  static union(audiences: readonly Audience[], address: string): Audience {
    const all = new Audience(address);
    for (const audience of audiences) {
      for (const member of audience.members) all.members.add(member);
      for (const listener of audience.#listeners ?? []) all.listen(listener);
      for (const [member, buffer] of audience.#catchUpBuffers ?? []) all.replace(member, buffer);
    }
    return all;
  }
}

/** Delivers to one member; only what is numbered in its home has a position for it. */
export function deliverTo(member: Member, delivery: Delivery): void {
  const bytes = member.dialect.encode(delivery, member);
  if (bytes === undefined) return;
  const { policy, position } = delivery;
  if (channels.messageOut.hasSubscribers) member.reportOut(delivery.payload, bytes, delivery.address);
  member.push(bytes, policy, position !== undefined && delivery.address === member.home ? position : undefined);
}

function reportGapTo(member: Member, gap: Gap, address: string): void {
  const bytes = member.dialect.encodeGap(gap, address, member);
  if (bytes !== undefined) member.push(bytes, undefined, address === member.home ? gap.position : undefined);
}
