import type { Clock } from "../connection/clock.js";
import type { Receipt } from "../wire/message.js";
import type { Payload } from "../wire/payload.js";
import type { EventFault } from "../wire/protocol.js";
import { type FrameId, replyFrame } from "../wire/v1.js";

/** To whom a reply goes; a connection. */
export interface Answered {
  send(payload: Payload): void;
}

/** Ids that are remembered of one client, clients that are, and for how long after their last frame (PROTOCOL.md). */
const idsMax = 128;
const clientsMax = 10_000;
const memoryMs = 5 * 60_000;
/** A reply that is longer is sent, but not kept to be sent again. */
const keptLengthMax = 16 * 1024;

const lost: EventFault = { code: "duplicate", message: "this was run already, and its reply is not kept" };
const internal: EventFault = { code: "internal", message: "internal error" };

/** What became of one frame with an id, however often it was sent. */
export class FrameRecord {
  readonly id: FrameId;
  begun = false;
  #to: Answered;
  #reply: Payload | undefined;

  constructor(id: FrameId, to: Answered) {
    this.id = id;
    this.#to = to;
  }

  /** It came over this connection: that is where the reply goes. */
  cameOver(to: Answered): void {
    this.#to = to;
    if (this.#reply !== undefined) to.send(this.#reply);
  }

  /** Only the first answer counts. */
  answer(outcome: { readonly data: unknown } | { readonly error: EventFault }): void {
    if (this.#reply !== undefined) return;
    const reply = replyFrame(this.id, outcome);
    this.#reply = reply.data.length > keptLengthMax ? replyFrame(this.id, { error: lost }) : reply;
    this.#to.send(reply);
  }
}

/** One time that a frame came. */
export class FrameReceipt implements Receipt {
  readonly #record: FrameRecord;
  readonly #busyWith: (record: FrameRecord | undefined) => void;

  /** @param busyWith Is told what its connection's handler is busy with. */
  constructor(record: FrameRecord, busyWith: (record: FrameRecord | undefined) => void) {
    this.#record = record;
    this.#busyWith = busyWith;
  }

  begin(): boolean {
    if (this.#record.begun) return false;
    this.#record.begun = true;
    this.#busyWith(this.#record);
    return true;
  }

  settle(failed = false): void {
    this.#busyWith(undefined);
    this.#record.answer(failed ? { error: internal } : { data: null });
  }
}

/** The frames of one client, over however many connections. */
export interface ClientReceipts {
  readonly byId: Map<FrameId, FrameRecord>;
  usedAt: number;
}

/** What every client sent lately that bore an id, so that nothing is run twice that is sent twice. */
export class Receipts {
  readonly #clock: Clock;
  /** The one used last stands last. */
  readonly #clients = new Map<string, ClientReceipts>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param client What the client calls itself; without it, nothing is known of it beyond its connection. */
  of(client: string | undefined): ClientReceipts {
    const known = client === undefined ? undefined : this.#clients.get(client);
    const receipts = known ?? { byId: new Map(), usedAt: 0 };
    if (client !== undefined) this.#use(client, receipts);
    return receipts;
  }

  /** @internal Keeps a client from being forgotten; called with each of its frames. */
  touch(receipts: ClientReceipts): void {
    receipts.usedAt = this.#clock.now();
    while (receipts.byId.size > idsMax) {
      const [oldest] = receipts.byId.keys();
      if (oldest !== undefined) receipts.byId.delete(oldest);
    }
  }

  #use(client: string, receipts: ClientReceipts): void {
    receipts.usedAt = this.#clock.now();
    this.#clients.delete(client);
    this.#clients.set(client, receipts);
    for (const [name, { usedAt }] of this.#clients) {
      const isOld = usedAt + memoryMs < this.#clock.now();
      if (!isOld && this.#clients.size <= clientsMax) return;
      this.#clients.delete(name);
    }
  }
}
