import type { Gap } from "../../backplane/backplane.js";
import type { Delivery, EncodedForm } from "../../backplane/delivery.js";
import type { Framing } from "../../connection/transport.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { Payload } from "../../wire/payload.js";
import type { Member } from "../dialect.js";
import { isExcepted } from "../excepted.js";
import { SharedByFraming } from "../sharedByFraming.js";
import { frameText, messageText } from "./frames.js";

/**
 * Encodes deliveries and messages as frames of `enfilade.v1`.
 *
 * All clients with the same framing and event protocol share one encoder, and with it the encoded bytes.
 */
export class V1Encoder {
  readonly #framing: Framing;
  readonly #eventProtocol: EventProtocol;

  constructor(framing: Framing, eventProtocol: EventProtocol) {
    this.#framing = framing;
    this.#eventProtocol = eventProtocol;
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    const isHome = delivery.address === member.home;
    if (delivery.except.length > 0 && isExcepted(delivery, member)) {
      if (isHome && delivery.position !== undefined) this.#sendOffset(delivery, member);
      return undefined;
    }
    const form = isHome ? "home" : "other";
    return delivery.encoded(this, form) ?? delivery.keepEncoded(this, form, this.#encodeFor(delivery, form));
  }

  encodePayload(payload: Payload): Uint8Array {
    return this.encodeText(
      payload.kind === "notice" ? String(payload.data) : messageText(payload.in(this.#eventProtocol)),
    );
  }

  encodeText(text: string): Uint8Array {
    return this.#framing.encode(text);
  }

  encodeGap({ missed, position }: Gap, address: string, member: Member): Uint8Array {
    const place = address === member.home ? { position } : { room: address };
    return this.encodeText(frameText("lagged", { missed, ...place }));
  }

  #encodeFor(delivery: Delivery, form: EncodedForm): Uint8Array {
    const { payload, address, position } = delivery;
    if (payload.kind === "notice") return this.encodePayload(payload);
    const isNumbered = form === "home" && position !== undefined;
    const about = isNumbered ? { offset: position.offset } : form === "other" && address ? { room: address } : {};
    return this.encodeText(messageText(payload.in(this.#eventProtocol), about));
  }

  /** Sends the offset without content to an excepted member, which would else see a jump; no policy may drop it. */
  #sendOffset(delivery: Delivery, member: Member): void {
    const { position } = delivery;
    const bytes =
      delivery.encoded(this, "excepted") ??
      delivery.keepEncoded(this, "excepted", this.encodeText(frameText("message", { offset: position?.offset })));
    member.push(bytes, undefined, position);
  }
}

const encoders = new SharedByFraming((framing, protocol) => new V1Encoder(framing, protocol));

/** The encoder that all clients with this framing and event protocol share. */
export function v1Encoder(framing: Framing, eventProtocol: EventProtocol): V1Encoder {
  return encoders.get(framing, eventProtocol);
}
