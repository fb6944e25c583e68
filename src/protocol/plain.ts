import type { Delivery } from "../backplane/delivery.js";
import type { Framing } from "../connection/transport.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import type { Message } from "../wire/message.js";
import type { Payload } from "../wire/payload.js";
import type { Dialect, Member } from "./dialect.js";
import { isExcepted } from "./excepted.js";
import { SharedByFraming } from "./sharedByFraming.js";

/** Messages exactly as the application sends and reads them. It has no state of a client: one serves all of a framing and an event protocol. */
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
    // A plain client is not told of losses.
  }

  onDropped(): void {
    // A plain client is not told of losses.
  }

  reportLosses(): Uint8Array[] {
    return [];
  }
}

const plainDialects = new SharedByFraming((framing, protocol) => new PlainDialect(framing, protocol));

/** The dialect that all plain clients of a framing and an event protocol share, so that they share bytes. */
export function plainDialect(framing: Framing, eventProtocol: EventProtocol): PlainDialect {
  return plainDialects.get(framing, eventProtocol);
}
