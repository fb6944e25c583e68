import type { Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { Framing } from "../../connection/transport.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { Payload } from "../../wire/payload.js";
import type { Member } from "../dialect.js";
import { isExcepted, sendPosition } from "../excepted.js";
import { SharedByFraming } from "../sharedByFraming.js";
import { fieldText, frameText, messageText, offsetText } from "./frames.js";

/** Encodes deliveries and messages as frames of `enfilade.v1`. */
export interface FrameEncoder {
  /** The frame of a delivery; `undefined` if the member does not get it. */
  encode(delivery: Delivery, member: Member): Uint8Array | undefined;
  /** The frame of a message to one client. */
  encodePayload(payload: Payload): Uint8Array;
  /** A frame that is about no room other than the home. */
  encodeText(text: string): Uint8Array;
  /** @param room The room that the frame is about. */
  encodeFrame(type: string, fields: object, room: string): Uint8Array;
  /** The frame that reports publications of a room as lost. */
  encodeGap(gap: Gap, address: string, member: Member): Uint8Array;
}

/**
 * The encoder of clients with a socket of their own. All with the same framing and event protocol share one, and with
 * it the encoded bytes.
 */
export class V1Encoder implements FrameEncoder {
  readonly #framing: Framing;
  readonly #eventProtocol: EventProtocol;

  constructor(framing: Framing, eventProtocol: EventProtocol) {
    this.#framing = framing;
    this.#eventProtocol = eventProtocol;
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    const isHome = delivery.address === member.home;
    if (delivery.except.length > 0 && isExcepted(delivery, member)) {
      sendPosition(delivery, member, {
        encoder: this,
        form: "excepted",
        encode: (position) => this.encodeText(offsetText(position)),
      });
      return undefined;
    }
    const form = isHome ? "home" : "other";
    return delivery.encoded(this, form) ?? delivery.keepEncoded(this, form, this.#encodeFor(delivery, isHome));
  }

  encodePayload(payload: Payload): Uint8Array {
    return this.encodeText(this.textOf(payload));
  }

  encodeText(text: string): Uint8Array {
    return this.#framing.encode(text);
  }

  encodeFrame(type: string, fields: object, room: string): Uint8Array {
    return this.encodeText(frameText(type, { room, ...fields }));
  }

  encodeGap({ missed, position }: Gap, address: string, member: Member): Uint8Array {
    if (address === member.home) return this.encodeText(frameText("lagged", { missed, position }));
    return this.encodeFrame("lagged", { missed, roomPosition: position }, address);
  }

  /** @param fields Further fields of a message; see {@link messageText}. */
  textOf(payload: Payload, fields = ""): string {
    return payload.kind === "notice" ? String(payload.data) : messageText(payload.in(this.#eventProtocol), fields);
  }

  #encodeFor({ payload, address, position }: Delivery, isHome: boolean): Uint8Array {
    if (isHome) return this.encodeText(this.textOf(payload, position && fieldText("offset", position.offset)));
    const offset = position === undefined ? "" : fieldText("roomOffset", position.offset);
    return this.encodeText(this.textOf(payload, address && fieldText("room", address) + offset));
  }
}

const encoders = new SharedByFraming((framing, protocol) => new V1Encoder(framing, protocol));

/** The encoder that all clients with this framing and event protocol share. */
export function v1Encoder(framing: Framing, eventProtocol: EventProtocol): V1Encoder {
  return encoders.get(framing, eventProtocol);
}
