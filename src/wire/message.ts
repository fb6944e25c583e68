import { asError, MessageError } from "../errors.js";
import type { DecodedEvent } from "./events/incomingEvent.js";
import { type Schema, validate } from "./schema.js";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What becomes of a message that bears an id, and may come more than once. */
export interface Receipt {
  /** The handler begins with it; `false`: it was begun before, and is not to be run again. */
  begin(): boolean;
  /** The handler is through with it; `failed` when it threw. What was answered already stays. */
  settle(failed?: boolean): void;
}

/** What a subprotocol knows of a message beyond its content. */
export interface MessageOrigin {
  readonly event?: DecodedEvent | undefined;
  readonly receipt?: Receipt | undefined;
}

const encoder = new TextEncoder();

/** One incoming message: a whole text or binary message, its fragments joined (RFC 6455 5.4). */
export class Message {
  #text: string | undefined;

  constructor(
    /** What came, as bytes; of a text, its UTF-8. */
    readonly bytes: Uint8Array,
    readonly isText: boolean,
    /** @internal */
    readonly origin: MessageOrigin | undefined = undefined,
  ) {}

  /** @internal A text that came inside a frame. */
  static within(text: string, origin: MessageOrigin): Message {
    return new Message(encoder.encode(text), true, origin);
  }

  /** @throws MessageError `ERR_NOT_TEXT` for a binary message. */
  get text(): string {
    if (!this.isText) throw new MessageError("ERR_NOT_TEXT", "the message is binary; read its bytes");
    this.#text ??= decoder.decode(this.bytes);
    return this.#text;
  }

  /**
   * The message parsed as JSON; with a schema, a promise of what the schema makes of it.
   *
   * @throws MessageError `ERR_NOT_TEXT` for a binary message, `ERR_BAD_JSON`, or `ERR_SCHEMA` (as a rejection).
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
  } catch (cause) {
    const { message } = asError(cause);
    throw new MessageError("ERR_BAD_JSON", `the message is not JSON: ${message}`, [], { cause });
  }
}
