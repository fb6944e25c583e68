import type { DeliveryPolicy } from "../connection/policy.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";

/** How much of a room is kept. */
export interface HistoryConfig {
  /** Publications. */
  readonly size: number;
  /** Bytes, as they are accounted for. */
  readonly bytesMax: number;
  /** Milliseconds since its publication. */
  readonly ageMsMax: number;
}

/** What a delivery is made of. */
export interface DeliveryFields {
  readonly payload: Payload;
  /** Ids of the connections that do not get it, and names of their clients. */
  readonly except: readonly string[];
  /** What happens to it for a member that lags. */
  readonly policy?: DeliveryPolicy | undefined;
  /** How much of its room is to be kept; nothing if `undefined`. */
  readonly history?: HistoryConfig | undefined;
  /** Given by the backplane to what is kept. */
  readonly position?: Position | undefined;
}

/** To whom the bytes go: to a member of the room itself, to one of another room, or to one that the sender excepted. */
export type EncodedForm = "home" | "other" | "excepted";

/** Bytes that were made of a delivery, in a list: mostly there is one. */
class Encoded {
  constructor(
    readonly encoder: object,
    readonly form: EncodedForm,
    readonly bytes: Uint8Array,
    readonly next: Encoded | undefined,
  ) {}
}

/** One message on its way to all members of a topic, with the bytes that dialects made of it, each once. */
export class Delivery implements DeliveryFields {
  readonly payload: Payload;
  readonly except: readonly string[];
  readonly policy: DeliveryPolicy | undefined;
  readonly history: HistoryConfig | undefined;
  readonly position: Position | undefined;
  /** The path of the room or the tree that it was published to; `undefined` for any other audience. Set by the audience. */
  address: string | undefined;
  #encoded: Encoded | undefined;

  constructor({ payload, except, policy, history, position }: DeliveryFields) {
    this.payload = payload;
    this.except = except;
    this.policy = policy;
    this.history = history;
    this.position = position;
  }

  /** The same with its position, and nothing encoded. */
  at(position: Position): Delivery {
    const { payload, except, policy, history } = this;
    return new Delivery({ payload, except, policy, history, position });
  }

  /** What {@link keepEncoded} got for this encoder and form. */
  encoded(encoder: object, form: EncodedForm): Uint8Array | undefined {
    for (let one = this.#encoded; one !== undefined; one = one.next) {
      if (one.encoder === encoder && one.form === form) return one.bytes;
    }
    return undefined;
  }

  /** @param encoder Stands for all members that get the same bytes, such as the dialect that they share. */
  keepEncoded(encoder: object, form: EncodedForm, bytes: Uint8Array): Uint8Array {
    this.#encoded = new Encoded(encoder, form, bytes, this.#encoded);
    return bytes;
  }

  /** Frees what was encoded: a delivery that is kept is read rarely. */
  dropEncoded(): void {
    this.#encoded = undefined;
  }
}
