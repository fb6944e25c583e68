import type { Member } from "../../protocol/dialect.js";
import type { DecodedEvent, IncomingEvent } from "../../wire/events/incomingEvent.js";
import type { Message } from "../../wire/message.js";
import type { StreamRequest } from "../../wire/stream.js";

/** The event that a method answers, as its second argument. */
export class EventCall implements IncomingEvent {
  readonly event: string;
  readonly data: unknown;
  readonly id: string | number | undefined;
  readonly channel: string | undefined;
  readonly #stream: StreamRequest | undefined;
  readonly #member: Member;

  constructor(member: Member, event: string, { data, id }: DecodedEvent, message: Message, channel?: string) {
    this.event = event;
    this.data = data;
    this.id = message.id ?? id;
    this.channel = channel;
    this.#stream = message.origin?.stream;
    this.#member = member;
  }

  /** Made on first use: most methods need none. */
  get signal(): AbortSignal {
    return this.#stream?.signal ?? this.#member.signal;
  }

  /** @internal The client that reads the answer as a stream; `undefined` if it did not ask for one. */
  static streamOf(call: EventCall): StreamRequest | undefined {
    return call.#stream;
  }
}
