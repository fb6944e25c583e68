import { EnfiladeError } from "../errors.js";
import type { EventProtocol, OutgoingEvent } from "./events/protocol.js";

/** Bytes as users hold them. */
export type Bytes = Uint8Array | ArrayBuffer | ArrayBufferView;

/** An event on its way to clients, whatever event protocol each of them speaks. */
export type EmittedEvent = OutgoingEvent & { readonly kind: "event" };

/** One outgoing message, its content encoded once for all who receive it. */
export class Payload {
  /** Of an event: as it was when it was emitted, whatever happens to its data later. */
  #eventJSON: string | undefined;
  #encodings: Map<EventProtocol, Payload | { readonly error: unknown }> | undefined;

  private constructor(
    /** A `notice` is the library's own, JSON with a `type`: it is sent as it is, in every dialect. */
    readonly kind: "json" | "text" | "binary" | "notice",
    readonly data: string | Uint8Array,
  ) {}

  /** @throws EnfiladeError `ERR_VALUE` when `text` is no string. */
  static text(text: string): Payload {
    if (typeof text !== "string") {
      throw new EnfiladeError("ERR_VALUE", `sendText takes a string, got ${kindOf(text)}; sendJSON takes any value`);
    }
    return new Payload("text", text);
  }

  /** @throws EnfiladeError `ERR_VALUE` when JSON has no form for `value`, such as `undefined`, a BigInt or a cycle. */
  static json(value: unknown): Payload {
    return new Payload("json", encodeJSON(value));
  }

  /** What is JSON already. */
  static encodedJSON(json: string): Payload {
    return new Payload("json", json);
  }

  /** @throws EnfiladeError `ERR_VALUE` when `bytes` are none. */
  static binary(bytes: Bytes): Payload {
    // Copied, since it may be kept: the caller may go on using the buffer.
    return new Payload("binary", new Uint8Array(asBytes(bytes)));
  }

  /**
   * An event, which each client gets in the event protocol of its own route; `kind` and `data` are those of `protocol`.
   *
   * @throws EnfiladeError `ERR_VALUE` when the protocol has no form for it.
   */
  static event(event: EmittedEvent, protocol: EventProtocol): Payload {
    const payload = encodeEvent(event, protocol);
    payload.#eventJSON = jsonOf(event);
    payload.#encodings = new Map([[protocol, payload]]);
    return payload;
  }

  /** The event as JSON; `undefined` when this is no event, or one that JSON has no form for. */
  get eventJSON(): string | undefined {
    return this.#eventJSON;
  }

  /**
   * The same in the form of a protocol; only an event is another one in each.
   *
   * @throws EnfiladeError `ERR_VALUE` when the protocol has no form for the event.
   */
  in(protocol: EventProtocol): Payload {
    if (this.#encodings === undefined) return this;
    const known = this.#encodings.get(protocol) ?? this.#encodeIn(protocol);
    this.#encodings.set(protocol, known);
    if (known instanceof Payload) return known;
    throw known.error;
  }

  /** A failure is kept too: it is the same for each of the many who would get it. */
  #encodeIn(protocol: EventProtocol): Payload | { readonly error: unknown } {
    try {
      if (this.#eventJSON === undefined) {
        throw new EnfiladeError("ERR_VALUE", "JSON has no form for the data of this event, and no other protocol has");
      }
      // It was written from such an event.
      return encodeEvent(JSON.parse(this.#eventJSON) as EmittedEvent, protocol);
    } catch (error) {
      return { error };
    }
  }

  /** A message of the library itself, such as the presence of a room. */
  static notice(fields: { readonly type: string }): Payload {
    return new Payload("notice", encodeJSON(fields));
  }
}

function jsonOf(event: EmittedEvent): string | undefined {
  try {
    return JSON.stringify(event);
  } catch {
    // A binary protocol may have a form for what JSON has none for, such as a BigInt.
    return undefined;
  }
}

/** Events and replies as a protocol writes them. */
export function encodeEvent(outgoing: OutgoingEvent, protocol: EventProtocol): Payload {
  const encoded = protocol.encode(outgoing);
  if (typeof encoded !== "string") return Payload.binary(encoded);
  return protocol.format === "json" ? Payload.encodedJSON(encoded) : Payload.text(encoded);
}

/** @throws EnfiladeError `ERR_VALUE` when JSON has no form for `value`. */
export function encodeJSON(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new EnfiladeError("ERR_VALUE", `sendJSON cannot encode this value: ${String(error)}`, { cause: error });
  }
  if (text === undefined) {
    throw new EnfiladeError("ERR_VALUE", `sendJSON takes a value that JSON can express, got ${kindOf(value)}`);
  }
  return text;
}

function asBytes(bytes: Bytes): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new EnfiladeError("ERR_VALUE", `sendBinary takes bytes (Uint8Array, ArrayBuffer), got ${kindOf(bytes)}`);
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}
