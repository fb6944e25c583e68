import { asError, MessageError } from "../errors.js";
import type { DecodedEvent } from "./events/incomingEvent.js";
import { type Schema, validate } from "./schema.js";
import type { StreamRequest } from "./stream.js";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Makes sure that a message with an id, which a client may send more than once, is handled once. */
export interface Receipt {
  /** Identifies the message among those of all clients, over all connections of its client. */
  readonly key: string;
  /**
   * Called before the handler gets the message; `false` if the handler must not get it: it got it before, or another
   * node did. A promise if other nodes have to be asked.
   */
  begin(): boolean | Promise<boolean>;
  /** Called when the handler has finished; `hasFailed` if it threw. An earlier answer to the message stays. */
  settle(hasFailed?: boolean): void;
}

/** Properties of a message that its subprotocol adds to the content. */
export interface MessageOrigin {
  /** The event that the message is; `null` if it has to be decoded again, since the message had to wait. */
  event?: DecodedEvent | null | undefined;
  readonly receipt?: Receipt | undefined;
  /** The fields of the message as a frame, if its transport has parsed it. */
  readonly frame?: Readonly<Record<string, unknown>> | undefined;
  /** Present if the client reads the answer as a stream. */
  readonly stream?: StreamRequest | undefined;
}

const encoder = new TextEncoder();

/** Decodes the UTF-8 of a part of `chunk`. */
export type DecodeSlice = (chunk: Uint8Array, begin: number, end: number) => string;

const decodeSlice: DecodeSlice = (chunk, begin, end) => decoder.decode(chunk.subarray(begin, end));

/** One received message, text or binary, with all its fragments joined (RFC 6455 5.4). */
export class Message {
  /** `true` for a text message, `false` for a binary one. */
  readonly isText: boolean;
  /** @internal */
  readonly origin: MessageOrigin | undefined;
  /** @internal The number of bytes. */
  readonly size: number;
  /** Holds the content, from `#begin` on. */
  readonly #chunk: Uint8Array;
  readonly #begin: number;
  readonly #decode: DecodeSlice;
  #bytes: Uint8Array | undefined;
  #text: string | undefined;

  constructor(
    bytes: Uint8Array,
    isText: boolean,
    origin?: MessageOrigin,
    begin = 0,
    end = bytes.length,
    decode = decodeSlice,
  ) {
    this.isText = isText;
    this.origin = origin;
    this.size = end - begin;
    this.#chunk = bytes;
    this.#begin = begin;
    this.#decode = decode;
  }

  /** @internal A text message that a frame of the subprotocol contained. */
  static within(text: string, origin: MessageOrigin): Message {
    return new Message(encoder.encode(text), true, origin);
  }

  /**
   * Identifies a message that its client may send more than once, such as after it has reconnected; `undefined` for a
   * plain client, and for a binary message.
   *
   * It is the same for each repetition and unique over all clients, so it can be stored in a unique column: up to 89
   * characters, a hash of the client and the id that the client chose.
   */
  get id(): string | undefined {
    return this.origin?.receipt?.key;
  }

  /** The content as bytes; for a text message, its UTF-8 encoding. */
  get bytes(): Uint8Array {
    // Made on first use: most handlers read the text only.
    this.#bytes ??=
      this.size === this.#chunk.length ? this.#chunk : this.#chunk.subarray(this.#begin, this.#begin + this.size);
    return this.#bytes;
  }

  /** @internal The memory that the message keeps alive, shared with the messages of the same chunk. */
  get buffer(): ArrayBufferLike {
    return this.#chunk.buffer;
  }

  /**
   * The content of a text message, as a string. For a binary message read `bytes`.
   *
   * @throws MessageError `ERR_NOT_TEXT` when the message is binary.
   */
  get text(): string {
    if (!this.isText) throw new MessageError("ERR_NOT_TEXT", "the message is binary, not text; read message.bytes");
    this.#text ??= this.#decode(this.#chunk, this.#begin, this.#begin + this.size);
    return this.#text;
  }

  /**
   * The message parsed as JSON; with a schema, a promise of the output of the schema.
   *
   * ```ts
   * const { name } = await message.json(z.object({ name: z.string() }));
   * ```
   *
   * @throws MessageError `ERR_NOT_TEXT` when the message is binary, `ERR_BAD_JSON` when it is not JSON, `ERR_SCHEMA`
   *   when it does not fit the schema. With a schema, each of them is a rejection.
   */
  json(): unknown;
  json<Output>(schema: Schema<Output>): Promise<Output>;
  json<Output>(schema?: Schema<Output>): unknown {
    return schema === undefined ? parse(this.text) : this.#checked(schema);
  }

  async #checked<Output>(schema: Schema<Output>): Promise<Output> {
    return validate(schema, parse(this.text));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MessageError("ERR_BAD_JSON", `the message is not JSON${reasonOf(error)}`);
  }
}

/** The complaint of the parser, unless it quotes the message: a log must not show what a client has sent. */
function reasonOf(error: unknown): string {
  const [complaint] = /^[^"]* at position \d+/.exec(asError(error).message) ?? [];
  return complaint === undefined ? "" : `: ${complaint}`;
}
