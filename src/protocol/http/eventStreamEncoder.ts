import type { Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { Payload } from "../../wire/payload.js";
import { type Position, positionText } from "../../wire/position.js";
import type { Member, Resumption } from "../dialect.js";
import { isExcepted, sendPosition } from "../excepted.js";
import type { Loss } from "../lossTracker.js";
import { eventBlock, idBlock, messageBlock } from "./eventStreamFraming.js";

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
      const encode = (at: Position) => bytesOf(idBlock(positionText(at)));
      sendPosition(delivery, member, { encoder: this, form: "excepted", encode });
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
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

const encoders = new WeakMap<EventProtocol, EventStreamEncoder>();

/** The encoder that all event streams with this event protocol share. */
export function eventStreamEncoder(eventProtocol: EventProtocol): EventStreamEncoder {
  const encoder = encoders.get(eventProtocol) ?? new EventStreamEncoder(eventProtocol);
  encoders.set(eventProtocol, encoder);
  return encoder;
}
