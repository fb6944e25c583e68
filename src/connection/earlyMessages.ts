import type { Position } from "../wire/position.js";
import type { DeliveryPolicy } from "./policy.js";

/** A message that waits until the first message was sent. */
export interface EarlyMessage {
  readonly bytes: Uint8Array;
  readonly policy: DeliveryPolicy | undefined;
  readonly position: Position | undefined;
}

/** Messages to a client that wait until the first message was sent, such as the welcome of `enfilade.v1`. */
export class EarlyMessages {
  readonly all: EarlyMessage[] = [];
  readonly #messagesMax: number;

  constructor(messagesMax: number) {
    this.#messagesMax = messagesMax;
  }

  /** Returns `false` when the limit is exceeded. */
  add(message: EarlyMessage): boolean {
    this.all.push(message);
    return this.all.length <= this.#messagesMax;
  }
}
