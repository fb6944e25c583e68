import type { Gap } from "../backplane/backplane.js";
import type { Delivery } from "../backplane/delivery.js";
import { isReported } from "../diagnostics.js";
import type { Member } from "../protocol/dialect.js";
import type { Position } from "../wire/position.js";

/** Receives the deliveries to a member that is still catching up. Never throws. */
export interface DeliverySink {
  take(delivery: Delivery): void;
  /** Publications to the member's home were lost between nodes. */
  onGap(): void;
  /** The member has left. */
  cancel(): void;
}

/** Server code that receives the deliveries to an audience. Never throws. */
export interface DeliveryListener {
  take(delivery: Delivery): void;
  /** Publications were lost; `count` is `undefined` if their number is not known. */
  onLoss(count: number | undefined): void;
  /** No more deliveries follow. */
  end(): void;
}

/** A set of connections that messages are sent to: those of a room, a channel, a user, or all. */
export class Audience {
  readonly members = new Set<Member>();
  #listeners: Set<DeliveryListener> | undefined;
  #catchUpBuffers: Map<Member, DeliverySink> | undefined;
  #subscribed: Promise<void> | undefined;
  #last: Position | undefined;

  /** @param address The path of the room or the tree; `undefined` for other audiences. */
  constructor(readonly address?: string) {}

  /** Whether the audience has a member or a listener. */
  get isInUse(): boolean {
    return this.members.size > 0 || (this.#listeners !== undefined && this.#listeners.size > 0);
  }

  /** The position of the last publication that all members without a buffer have; `undefined` if there was none yet. */
  get last(): Position | undefined {
    return this.#last;
  }

  /**
   * The only send loop. Members that get the same bytes share them.
   *
   * @throws the first error that the event protocol of a member threw, after all other members got the message.
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
    this.#last = delivery.position ?? this.#last;
    if (failure !== undefined) throw failure.error;
  }

  /** Resolves when this node is subscribed to the audience's topic; `undefined` if it is. */
  get subscribed(): Promise<void> | undefined {
    return this.#subscribed;
  }

  /** @param subscribed Resolves when this node is subscribed; never rejects. */
  whenSubscribed(subscribed: Promise<void> | undefined): void {
    this.#subscribed = subscribed?.then(() => {
      this.#subscribed = undefined;
    });
  }

  /** Reports lost publications to all members and listeners; only to members that the epoch has changed. */
  reportGap(gap: Gap): void {
    const { address } = this;
    for (const member of this.members) {
      const buffer = this.#catchUpBuffers?.get(member);
      // A member that is catching up reads the history again and finds the gap there.
      if (buffer !== undefined) buffer.onGap();
      else if (address !== undefined) reportGapTo(member, gap, address);
    }
    this.#last = gap.position;
    if (gap.missed !== 0) for (const listener of this.#listeners ?? []) listener.onLoss(gap.missed);
  }

  /** Adds a listener. */
  listen(listener: DeliveryListener): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  /** Removes a listener. */
  unlisten(listener: DeliveryListener): void {
    this.#listeners?.delete(listener);
  }

  /** Ends all listeners. */
  endSubscriptions(): void {
    for (const listener of [...(this.#listeners ?? [])]) listener.end();
  }

  /** Redirects deliveries for `member` to `buffer`; `undefined` sends them to the member again. */
  redirect(member: Member, buffer: DeliverySink | undefined): void {
    if (buffer !== undefined) {
      this.#catchUpBuffers ??= new Map();
      this.#catchUpBuffers.set(member, buffer);
    } else {
      this.#catchUpBuffers?.get(member)?.cancel();
      this.#catchUpBuffers?.delete(member);
      if (this.#catchUpBuffers?.size === 0) this.#catchUpBuffers = undefined;
    }
  }

  /** Sends deliveries for `member` to it again: it has everything up to `last`. */
  endRedirect(member: Member, last: Position): void {
    this.redirect(member, undefined);
    this.#last ??= last;
  }

  /** An audience of all members and listeners of these, each once. */
  static union(audiences: readonly Audience[], address: string): Audience {
    const all = new Audience(address);
    for (const audience of audiences) {
      for (const member of audience.members) all.members.add(member);
      for (const listener of audience.#listeners ?? []) all.listen(listener);
      for (const [member, buffer] of audience.#catchUpBuffers ?? []) all.redirect(member, buffer);
    }
    return all;
  }
}

/** Delivers to one member. A client tracks positions of its home only. */
export function deliverTo(member: Member, delivery: Delivery): void {
  const bytes = member.dialect.encode(delivery, member);
  if (bytes === undefined) return;
  const { policy, position } = delivery;
  const isHome = position !== undefined && delivery.address === member.home;
  const isSent = member.push(bytes, policy, isHome ? position : undefined);
  if (isSent && (delivery.isTapped || isReported(member))) member.reportOut(delivery.payload, bytes, delivery.address);
}

function reportGapTo(member: Member, gap: Gap, address: string): void {
  const bytes = member.dialect.encodeGap(gap, address, member);
  if (bytes !== undefined) member.push(bytes, undefined, address === member.home ? gap.position : undefined);
}
