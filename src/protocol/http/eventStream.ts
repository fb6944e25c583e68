import type { Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { DeliveryPolicy } from "../../connection/policy.js";
import type { ConnectionRequest } from "../../connection/request.js";
import type { Message } from "../../wire/message.js";
import type { Payload } from "../../wire/payload.js";
import { type Position, readPosition } from "../../wire/position.js";
import type { Dialect, DialectSession, JoiningClient, Member, Resumption, SessionDialect } from "../dialect.js";
import { LossTracker } from "../lossTracker.js";
import type { EventStreamEncoder } from "./eventStreamEncoder.js";

/**
 * The dialect of a client that reads a room as an event stream (PROTOCOL.md). Each message is an event; a loss is an
 * event `lost`. The client sends nothing.
 */
export class EventStreamDialect implements Dialect, SessionDialect, JoiningClient {
  readonly clientName = undefined;
  readonly replies = undefined;
  readonly requests = undefined;
  readonly reportsLosses = true;
  readonly since: Position | "invalid" | undefined;
  readonly #encoder: EventStreamEncoder;
  readonly #losses = new LossTracker();
  #member: Member | undefined;
  /** The position that the client has, by the ids of its events. */
  #last: Position | undefined;

  constructor(encoder: EventStreamEncoder, { headers, query }: ConnectionRequest) {
    this.#encoder = encoder;
    // A browser that connects again sends the header, and the query of the first time.
    const lastEventId = headers["last-event-id"];
    const since = typeof lastEventId === "string" && lastEventId !== "" ? lastEventId : query.get("since");
    this.since = since === null ? undefined : (readPosition(since) ?? "invalid");
  }

  get session(): SessionDialect {
    return this;
  }

  get joining(): JoiningClient {
    return this;
  }

  start({ member }: DialectSession): void {
    this.#member = member;
    member.holdBack();
  }

  end(): void {
    // Nothing of the client is kept.
  }

  welcome(resumption: Resumption): void {
    this.#last = resumption.position;
    this.#losses.begin(resumption.position?.offset ?? 0);
    this.#member?.release(this.#encoder.encodeWelcome(resumption));
  }

  onSkipped(count: number): void {
    this.#losses.recordLoss(count);
    this.#member?.reportLosses();
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    return this.#encoder.encode(delivery, member);
  }

  encodePayload(payload: Payload): Uint8Array {
    return this.#encoder.encodePayload(payload);
  }

  encodeGap(gap: Gap, address: string, member: Member): Uint8Array {
    const isHome = address === member.home;
    if (isHome) this.#last = gap.position;
    return this.#encoder.encodeGap(gap, address, isHome);
  }

  encodeDrain(): undefined {
    return undefined;
  }

  receive(message: Message): Message {
    return message;
  }

  /** Reports a jump of the position: a client reads the ids, but does not compare them. */
  onSent(position: Position | undefined): void {
    this.#losses.recordSent(position);
    const last = this.#last;
    if (position === undefined || last === undefined) return;
    this.#last = position;
    const missed = last.epoch === position.epoch ? position.offset - last.offset - 1 : 0;
    if (missed > 0) this.#member?.push(this.#encoder.encodeLoss({ missed }), undefined);
  }

  onDropped(position: Position | undefined, policy: DeliveryPolicy): void {
    this.#losses.recordDropped(position, policy);
    // A newer message is in its place.
    if (position !== undefined && policy.kind === "latest") this.#last = position;
  }

  reportLosses(): Uint8Array[] {
    return this.#losses.take().map((loss) => {
      this.#last = loss.position ?? this.#last;
      return this.#encoder.encodeLoss(loss);
    });
  }
}
