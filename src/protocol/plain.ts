import type { Delivery } from "../backplane/delivery.js";
import type { Framing } from "../connection/transport.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import type { Message } from "../wire/message.js";
import type { Payload } from "../wire/payload.js";
import type { Dialect, Member } from "./dialect.js";
import { isExcepted } from "./excepted.js";
import { SharedByFraming } from "./sharedByFraming.js";

/**
 * The dialect of plain clients: messages carry exactly what the application sends.
 *
 * It has no state for a client, so all clients with the same framing and event protocol share one object.
 */
export class PlainDialect implements Dialect {
  readonly clientName = undefined;
  readonly session = undefined;
  readonly joining = undefined;
  readonly replies = undefined;
  readonly requests = undefined;
  readonly reportsLosses = false;
  readonly #framing: Framing;
  readonly #eventProtocol: EventProtocol;

  constructor(framing: Framing, eventProtocol: EventProtocol) {
    this.#framing = framing;
    this.#eventProtocol = eventProtocol;
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    if (delivery.except.length > 0 && isExcepted(delivery, member)) return undefined;
    return delivery.encoded(this, "home") ?? delivery.keepEncoded(this, "home", this.encodePayload(delivery.payload));
  }

  encodePayload(payload: Payload): Uint8Array {
    return this.#framing.encode(payload.in(this.#eventProtocol).data);
  }

  encodeGap(): undefined {
    return undefined;
  }

  encodeDrain(): undefined {
    return undefined;
  }

  receive(message: Message): Message {
    return message;
  }

  onSent(): void {
    // Plain clients are not notified of losses.
  }

  onDropped(): void {
    // Plain clients are not notified of losses.
  }

  reportLosses(): Uint8Array[] {
    return [];
  }
}

const plainDialects = new SharedByFraming((framing, protocol) => new PlainDialect(framing, protocol));

/** The dialect that all plain clients with this framing and event protocol share, and with it their encoded bytes. */
export function plainDialect(framing: Framing, eventProtocol: EventProtocol): PlainDialect {
  return plainDialects.get(framing, eventProtocol);
}
