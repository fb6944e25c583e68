import type { Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { Payload } from "../../wire/payload.js";
import { type Position, positionText } from "../../wire/position.js";
import type { Member, Resumption } from "../dialect.js";
import { isExcepted } from "../excepted.js";
import type { Loss } from "../lossTracker.js";
import { SharedByFraming } from "../sharedByFraming.js";
import { eventBlock, eventStreamFraming, idBlock, messageBlock } from "./eventStreamFraming.js";

/**
 * Encodes deliveries and messages as server-sent events. A publication to the home has its position as the id.
 *
 * All event streams with the same event protocol share one encoder, and with it the encoded bytes.
 */
export class EventStreamEncoder {
  readonly #eventProtocol: EventProtocol;

  constructor(eventProtocol: EventProtocol) {
    this.#eventProtocol = eventProtocol;
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    const isHome = delivery.address === member.home;
    const position = isHome ? delivery.position : undefined;
    if (delivery.except.length > 0 && isExcepted(delivery, member)) {
      if (position !== undefined) this.#sendId(delivery, position, member);
      return undefined;
    }
    const form = isHome ? "home" : "other";
    const known = delivery.encoded(this, form);
    return known ?? delivery.keepEncoded(this, form, this.#encodePayload(delivery.payload, position));
  }

  encodePayload(payload: Payload): Uint8Array {
    return this.#encodePayload(payload, undefined);
  }

  /** The first bytes of the stream: the position where it begins, and what the client has missed. */
  encodeWelcome({ position, recovered, reason, missed }: Resumption): Uint8Array {
    const id = position && positionText(position);
    if (recovered === false) return bytesOf(eventBlock("lost", { reason, missed }, id));
    return bytesOf(id === undefined ? ":\n\n" : idBlock(id));
  }

  encodeLoss({ missed, position }: Loss): Uint8Array {
    return bytesOf(eventBlock("lost", { missed }, position && positionText(position)));
  }

  encodeGap({ missed, position }: Gap, address: string, isHome: boolean): Uint8Array {
    if (!isHome) return bytesOf(eventBlock("lost", { missed, room: address }));
    const id = positionText(position);
    return bytesOf(missed === 0 ? idBlock(id) : eventBlock("lost", { missed }, id));
  }

  #encodePayload(payload: Payload, position: Position | undefined): Uint8Array {
    // The only notices are those of presence.
    if (payload.kind === "notice") return bytesOf(`event: presence\n${messageBlock(payload.data)}`);
    return bytesOf(messageBlock(payload.in(this.#eventProtocol).data, position && positionText(position)));
  }

  /** Sends the position without content to an excepted member: it must not get the message when it resumes. */
  #sendId(delivery: Delivery, position: Position, member: Member): void {
    const known = delivery.encoded(this, "excepted");
    const bytes = known ?? delivery.keepEncoded(this, "excepted", bytesOf(idBlock(positionText(position))));
    member.push(bytes, undefined, position);
  }
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

const encoders = new SharedByFraming((_framing, protocol) => new EventStreamEncoder(protocol));

/** The encoder that all event streams with this event protocol share. */
export function eventStreamEncoder(eventProtocol: EventProtocol): EventStreamEncoder {
  return encoders.get(eventStreamFraming, eventProtocol);
}
