import type { Delivery, Gap } from "../backplane/backplane.js";
import type { Connection } from "../connection/connection.js";
import { controlFrame } from "../wire/v1.js";
import { Envelope } from "./envelope.js";

/** Takes what is sent to a member that is not ready yet. Never throws. */
export interface DeliverySink {
  /** @param address The path of the audience that it was sent to, if that has one. */
  take(delivery: Delivery, address: string | undefined): void;
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
  readonly members = new Set<Connection>();
  #listeners: Set<DeliveryListener> | undefined;
  #catchUpBuffers: Map<Connection, DeliverySink> | undefined;
  #heard: Promise<void> | undefined;

  /** @param address The path it is known by to its members; `undefined` where it has none. */
  constructor(readonly address?: string) {}

  /** Whether anybody would take what is sent. */
  get inUse(): boolean {
    return this.members.size > 0 || (this.#listeners !== undefined && this.#listeners.size > 0);
  }

  /** The one send loop: nothing in it encodes, and nothing a member does can stop it. */
  send(delivery: Delivery): void {
    const envelope = new Envelope(delivery, this.address);
    if (this.#catchUpBuffers === undefined) {
      for (const member of this.members) envelope.sendTo(member);
    } else {
      for (const member of this.members) {
        const standIn = this.#catchUpBuffers?.get(member);
        if (standIn === undefined) envelope.sendTo(member);
        else standIn.take(delivery, this.address);
      }
    }
    if (this.#listeners !== undefined) for (const listener of this.#listeners) listener.take(delivery);
  }

  /** Resolves when this node hears what is sent to the audience; `undefined` when it does. */
  get heard(): Promise<void> | undefined {
    return this.#heard;
  }

  /** @param heard Resolves when this node hears; never rejects. */
  hear(heard: Promise<void> | undefined): void {
    this.#heard = heard?.then(() => {
      this.#heard = undefined;
    });
  }

  /** Tells everyone who is told of such things that publications were lost. */
  lag({ position, missed }: Gap): void {
    const atHome = controlFrame("lagged", { missed, position });
    const elsewhere = controlFrame("lagged", { missed, room: this.address });
    for (const member of this.members) {
      const standIn = this.#catchUpBuffers?.get(member);
      // Whoever reads what is kept finds out by that.
      if (standIn !== undefined) standIn.lag();
      else if (!member.enveloped) continue;
      else if (member.request.path === this.address) member.send(atHome, undefined, position);
      else member.send(elsewhere);
    }
    for (const listener of this.#listeners ?? []) listener.lose(missed);
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

  /** Has `standIn` take what `member` would be sent; `undefined`: it is ready. */
  replace(member: Connection, standIn: DeliverySink | undefined): void {
    if (standIn !== undefined) {
      this.#catchUpBuffers ??= new Map();
      this.#catchUpBuffers.set(member, standIn);
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
      for (const [member, standIn] of audience.#catchUpBuffers ?? []) all.replace(member, standIn);
    }
    return all;
  }
}
