import type { Position } from "../wire/position.js";
import type { LaggingClient, OutgoingMemory } from "./memory/outgoing.js";
import type { DeliveryPolicy } from "./policy.js";

/** A message that waits until the first message was sent. */
export interface EarlyMessage {
  readonly bytes: Uint8Array;
  readonly policy: DeliveryPolicy | undefined;
  readonly position: Position | undefined;
}

/** The connection of early messages. */
export interface EarlyMessagesOwner {
  /** Called when too much waits. */
  onOverflow(): void;
}

/** Messages to a client that wait until the first message was sent, such as the welcome of `enfilade.v1`. */
export class EarlyMessages implements LaggingClient {
  readonly #owner: EarlyMessagesOwner;
  readonly #memory: OutgoingMemory;
  readonly #messagesMax: number;
  #messages: EarlyMessage[] = [];

  constructor(owner: EarlyMessagesOwner, memory: OutgoingMemory, messagesMax: number) {
    this.#owner = owner;
    this.#memory = memory;
    this.#messagesMax = messagesMax;
  }

  add(message: EarlyMessage): void {
    if (this.#messages.length === 0) this.#memory.enter(this);
    this.#messages.push(message);
    this.#memory.hold(message.bytes);
    if (this.#messages.length > this.#messagesMax) this.#owner.onOverflow();
  }

  /** Takes all messages, in their order. */
  take(): readonly EarlyMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#memory.leave(this);
    for (const { bytes } of messages) this.#memory.release(bytes);
    return messages;
  }

  heldShare(): number {
    return this.#messages.reduce((share, { bytes }) => share + this.#memory.shareOf(bytes), 0);
  }

  get socketBytes(): number {
    return 0;
  }

  whenWritten(callback: () => void): void {
    callback();
  }

  onCrowdedOut(): void {
    this.#owner.onOverflow();
  }
}
