import type { DeliveryPolicy } from "../connection/policy.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";

/** How much history a room keeps. */
export interface HistoryConfig {
  /** The maximum number of publications. */
  readonly size: number;
  /** The maximum number of accounted bytes. */
  readonly bytesMax: number;
  /** The maximum number of milliseconds since a publication. */
  readonly ageMsMax: number;
}

/** The memory of a message in a history, in addition to its text: objects, and places in lists. */
const entryBytes = 260;

/** The accounted bytes of a message in a history in memory: {@link entryBytes}, and two for each character. */
export function accountedBytes({ data }: Payload): number {
  return entryBytes + 2 * data.length;
}

/** The fields of a {@link Delivery}. */
export interface DeliveryFields {
  /** The content of the message. */
  readonly payload: Payload;
  /** The ids of connections that do not get the message, and the keys of their clients (`client:…`). */
  readonly except: readonly string[];
  /** What happens to the message for a member that lags. */
  readonly policy?: DeliveryPolicy | undefined;
  /** How much history the room keeps; `undefined` if this message is not kept. */
  readonly history?: HistoryConfig | undefined;
  /** The id of a message that its caller may publish again; `undefined` if it has none. */
  readonly id?: string | undefined;
  /** The position that the backplane gave to the message; `undefined` if it is not kept. */
  readonly position?: Position | undefined;
}

/**
 * The receiver of encoded bytes: a member with this room as its home, another member, or an excepted member; `shared…`
 * for members whose socket has several connections.
 */
export type EncodedForm = "home" | "other" | "excepted" | "sharedHome" | "sharedExcepted";

/** Encoded bytes of a delivery, as a linked list; mostly of one element. */
class Encoded {
  constructor(
    readonly encoder: object,
    readonly form: EncodedForm,
    readonly bytes: Uint8Array,
    readonly next: Encoded | undefined,
  ) {}
}

/** One message to all members of a topic. It stores encoded bytes, so that each dialect encodes the message once. */
export class Delivery implements DeliveryFields {
  readonly payload: Payload;
  readonly except: readonly string[];
  readonly policy: DeliveryPolicy | undefined;
  readonly history: HistoryConfig | undefined;
  readonly id: string | undefined;
  readonly position: Position | undefined;
  /** The path of the room or the pattern of the tree; `undefined` for other topics. Set when it is delivered. */
  address: string | undefined;
  /** Whether a tap may match it, at any member. Set when it is delivered. */
  isTapped = false;
  #encoded: Encoded | undefined;

  constructor({ payload, except, policy, history, id, position }: DeliveryFields) {
    this.payload = payload;
    this.except = except;
    this.policy = policy;
    this.history = history;
    this.id = id;
    this.position = position;
  }

  /** A copy with a position and without encoded bytes. */
  at(position: Position): Delivery {
    const { payload, except, policy, history } = this;
    return new Delivery({ payload, except, policy, history, position });
  }

  /** The bytes that {@link keepEncoded} stored for this encoder and form. */
  encoded(encoder: object, form: EncodedForm): Uint8Array | undefined {
    for (let one = this.#encoded; one !== undefined; one = one.next) {
      if (one.encoder === encoder && one.form === form) return one.bytes;
    }
    return undefined;
  }

  /**
   * Stores encoded bytes, and returns them.
   *
   * @param encoder An object shared by all members that get the same bytes, such as their dialect.
   */
  keepEncoded(encoder: object, form: EncodedForm, bytes: Uint8Array): Uint8Array {
    this.#encoded = new Encoded(encoder, form, bytes, this.#encoded);
    return bytes;
  }

  /** Frees the encoded bytes; a delivery in a history is rarely needed again. */
  dropEncoded(): void {
    this.#encoded = undefined;
  }
}
