import type { Position } from "../wire/position.js";
import type { DeliveryPolicy } from "./policy.js";

/** A message that waits for the one that has to come first. */
export interface EarlyMessage {
  readonly bytes: Uint8Array;
  readonly policy: DeliveryPolicy | undefined;
  readonly position: Position | undefined;
}

/** What was sent to a client before the message that has to come first. */
export class EarlyMessages {
  readonly all: EarlyMessage[] = [];
  readonly #messagesMax: number;

  constructor(messagesMax: number) {
    this.#messagesMax = messagesMax;
  }

  /** Returns whether there was space. */
  add(message: EarlyMessage): boolean {
    this.all.push(message);
    return this.all.length <= this.#messagesMax;
  }
}
