import type { Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { RoomPath } from "../../wire/path.js";
import type { Payload } from "../../wire/payload.js";
import type { Position } from "../../wire/position.js";
import type { Member } from "../dialect.js";
import { isExcepted, sendPosition } from "../excepted.js";
import type { FrameEncoder, V1Encoder } from "./encoder.js";
import { fieldText, frameText, offsetText } from "./frames.js";

/**
 * The encoder of one connection among several on a socket: each frame has the home of its connection as `room`. The
 * room that a frame is about, if it is another one, is its `address`.
 *
 * A publication to the home has the same bytes for all members of this kind.
 */
export class RoomEncoder implements FrameEncoder {
  readonly #encoder: V1Encoder;
  readonly #home: RoomPath;

  constructor(encoder: V1Encoder, home: RoomPath) {
    this.#encoder = encoder;
    this.#home = home;
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    const { address, payload, position } = delivery;
    const encoder = this.#encoder;
    if (delivery.except.length > 0 && isExcepted(delivery, member)) {
      const encode = (at: Position) => this.encodeText(offsetText(at));
      sendPosition(delivery, member, { encoder, form: "sharedExcepted", encode });
      return undefined;
    }
    if (address !== this.#home) return this.#encodeOther(delivery);
    const known = delivery.encoded(encoder, "sharedHome");
    if (known !== undefined) return known;
    const text = encoder.textOf(payload, position && fieldText("offset", position.offset));
    const bytes = payload.kind === "notice" ? encoder.encodeText(text) : this.encodeText(text);
    return delivery.keepEncoded(encoder, "sharedHome", bytes);
  }

  encodePayload(payload: Payload): Uint8Array {
    return payload.kind === "notice" ? this.#encodeNotice(payload) : this.encodeText(this.#encoder.textOf(payload));
  }

  encodeText(text: string): Uint8Array {
    return this.#encoder.encodeText(`{${fieldText("room", this.#home)}${text.slice(1)}`);
  }

  encodeFrame(type: string, fields: object, room: string): Uint8Array {
    // The socket has a welcome of its own.
    const name = type === "welcome" ? "opened" : type;
    return this.encodeText(frameText(name, room === this.#home ? fields : { address: room, ...fields }));
  }

  encodeGap({ missed, position }: Gap, address: string): Uint8Array {
    return this.encodeFrame(
      "lagged",
      { missed, [address === this.#home ? "position" : "roomPosition"]: position },
      address,
    );
  }

  #encodeOther({ payload, address, position }: Delivery): Uint8Array {
    if (payload.kind === "notice") return this.#encodeNotice(payload);
    const offset = position === undefined ? "" : fieldText("roomOffset", position.offset);
    return this.encodeText(this.#encoder.textOf(payload, address && fieldText("address", address) + offset));
  }

  /** A notice is a whole frame, with its room. */
  #encodeNotice({ data }: Payload): Uint8Array {
    const { type, room, ...fields } = JSON.parse(String(data));
    return this.encodeFrame(type, fields, room);
  }
}
