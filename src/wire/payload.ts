import { EnfiladeError } from "../errors.js";
import type { EventProtocol, OutgoingEvent } from "./events/protocol.js";

/** Bytes to send: a `Uint8Array` (also a `Buffer`), an `ArrayBuffer`, or a view of one. */
export type Bytes = Uint8Array | ArrayBuffer | ArrayBufferView;

/** An event to be sent to clients. Each client gets it in the event protocol of its own route. */
export type EmittedEvent = OutgoingEvent & { readonly kind: "event" };

/** The content of one outgoing message, encoded once for all clients that receive it. */
export class Payload {
  /** The event as JSON, made when it was emitted: later changes of its data have no effect. */
  #eventJSON: string | undefined;
  /** The same event in each event protocol that was asked for, or the error of its `encode`. */
  #encodings: Map<EventProtocol, Payload | { readonly error: unknown }> | undefined;

  private constructor(
    /** The form of `data`. A `notice` is a JSON message of the library with a `type`, the same for all clients. */
    readonly kind: "json" | "text" | "binary" | "notice",
    /** The encoded content: bytes for `binary`, else a string. */
    readonly data: string | Uint8Array,
  ) {}

  /**
   * A text message.
   *
   * @throws EnfiladeError `ERR_VALUE` when `text` is not a string.
   */
  static text(text: string): Payload {
    if (typeof text !== "string") {
      throw new EnfiladeError(
        "ERR_VALUE",
        `a text message takes a string, got ${kindOf(text)}; send other values as JSON`,
      );
    }
    return new Payload("text", text);
  }

  /**
   * A JSON message.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON cannot encode `value`, such as `undefined`, a BigInt or a cycle.
   */
  static json(value: unknown): Payload {
    return new Payload("json", encodeJSON(value));
  }

  /** A JSON message from a string that is JSON already. */
  static encodedJSON(json: string): Payload {
    return new Payload("json", json);
  }

  /**
   * A binary message, with a copy of `bytes`.
   *
   * @throws EnfiladeError `ERR_VALUE` when `bytes` is not an `ArrayBuffer` or a view of one.
   */
  static binary(bytes: Bytes): Payload {
    // The payload may be stored while the caller reuses the buffer.
    return new Payload("binary", new Uint8Array(toUint8Array(bytes)));
  }

  /**
   * An event, which each client gets in the event protocol of its own route. `kind` and `data` are those of `protocol`.
   *
   * @throws EnfiladeError `ERR_VALUE` when `protocol` cannot encode the event.
   */
  static event(event: EmittedEvent, protocol: EventProtocol): Payload {
    const payload = encodeEvent(event, protocol);
    payload.#eventJSON = jsonOf(event);
    payload.#encodings = new Map([[protocol, payload]]);
    return payload;
  }

  /** The event as JSON; `undefined` for other messages, and for an event that JSON cannot encode. */
  get eventJSON(): string | undefined {
    return this.#eventJSON;
  }

  /**
   * The same message in an event protocol. Messages that are not events are the same in all of them.
   *
   * @throws EnfiladeError `ERR_VALUE` when the protocol cannot encode the event.
   */
  in(protocol: EventProtocol): Payload {
    if (this.#encodings === undefined) return this;
    const known = this.#encodings.get(protocol) ?? this.#encodeIn(protocol);
    this.#encodings.set(protocol, known);
    if (known instanceof Payload) return known;
    throw known.error;
  }

  /** A failure is returned, to be stored as well: it is the same for every client with this protocol. */
  #encodeIn(protocol: EventProtocol): Payload | { readonly error: unknown } {
    try {
      if (this.#eventJSON === undefined) {
        throw new EnfiladeError("ERR_VALUE", otherProtocol);
      }
      // The type is right: the JSON was written from such an event.
      return encodeEvent(JSON.parse(this.#eventJSON) as EmittedEvent, protocol);
    } catch (error) {
      return { error };
    }
  }

  /**
   * A message of the library itself, such as the presence of a room.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON cannot encode `fields`.
   */
  static notice(fields: { readonly type: string }): Payload {
    return new Payload("notice", encodeJSON(fields));
  }
}

const otherProtocol =
  "JSON cannot encode the data of this event, so clients of another eventProtocol cannot get it; emit JSON data";

function jsonOf(event: EmittedEvent): string | undefined {
  try {
    return JSON.stringify(event);
  } catch {
    // A binary protocol may encode a value that JSON cannot, such as a BigInt.
    return undefined;
  }
}

/** Encodes an event, a reply or an error in an event protocol. */
export function encodeEvent(outgoing: OutgoingEvent, protocol: EventProtocol): Payload {
  const encoded = protocol.encode(outgoing);
  if (typeof encoded !== "string") return Payload.binary(encoded);
  return protocol.format === "json" ? Payload.encodedJSON(encoded) : Payload.text(encoded);
}

/** @throws EnfiladeError `ERR_VALUE` when JSON cannot encode `value`. */
export function encodeJSON(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new EnfiladeError("ERR_VALUE", `JSON cannot encode this value: ${String(error)}`, { cause: error });
  }
  if (text === undefined) {
    throw new EnfiladeError("ERR_VALUE", `a JSON message takes a value that JSON can encode, got ${kindOf(value)}`);
  }
  return text;
}

function toUint8Array(bytes: Bytes): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new EnfiladeError("ERR_VALUE", `a binary message takes a Uint8Array or an ArrayBuffer, got ${kindOf(bytes)}`);
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}
