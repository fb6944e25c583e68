import { EnfiladeError } from "../errors.js";
import { encodeFrame, Opcode } from "./frame.js";

/** Bytes as users hold them. */
export type Bytes = Uint8Array | ArrayBuffer | ArrayBufferView;

/** One outgoing message, encoded once for however many receive it. */
export class Payload {
  /** @internal The same as a frame of `enfilade.v1`, sent to one connection; once somebody needed it. */
  enveloped: Payload | undefined;
  /** The compressed frame, once somebody needed it. */
  deflated: Uint8Array | undefined;
  #frame: Uint8Array | undefined;

  private constructor(
    /** A `frame` is the library's own: it goes out as it is, whatever the subprotocol. */
    readonly kind: "json" | "text" | "binary" | "frame",
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

  /** @internal A text that is a frame of a subprotocol. */
  static frame(text: string): Payload {
    return new Payload("frame", text);
  }

  /** What is JSON already. */
  static encodedJSON(json: string): Payload {
    return new Payload("json", json);
  }

  /** @throws EnfiladeError `ERR_VALUE` when `bytes` are none. */
  static binary(bytes: Bytes): Payload {
    // Copied, whoever holds it for later: the caller may go on using his buffer.
    return new Payload("binary", new Uint8Array(asBytes(bytes)));
  }

  /** The whole frame; made at the first call, and the same object ever after. */
  get frame(): Uint8Array {
    this.#frame ??= encodeFrame(this.data, typeof this.data === "string" ? Opcode.text : Opcode.binary);
    return this.#frame;
  }
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
