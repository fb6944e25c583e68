import type { Clock, Timer } from "../connection/clock.js";
import { type EventFailure, internalFault } from "../wire/events/protocol.js";
import type { Receipt } from "../wire/message.js";
import { Payload } from "../wire/payload.js";
import { type FrameId, replyFrame } from "../wire/v1.js";

/** To whom a reply goes; a connection. */
export interface Answered {
  readonly id: string;
  send(payload: Payload): void;
}

export type Outcome = { readonly data: unknown } | { readonly error: EventFailure };

/** Answered ids that are remembered of one client, and for how long after its last connection (PROTOCOL.md). */
const idsMax = 128;
const memoryMs = 5 * 60_000;
/** Clients without a connection that are remembered. */
const absentMax = 10_000;
/** Characters of one reply that is kept, of all that are of one client, and of all there are. */
const replyLengthMax = 8 * 1024;
const clientLengthMax = 16 * 1024;
const allLengthMax = 32 * 1024 * 1024;

const lost: EventFailure = { code: "duplicate", message: "this was run already, and its reply is not kept" };

/** What became of one frame with an id, however often it was sent. */
export class FrameRecord {
  readonly id: FrameId;
  begun = false;
  /** Who is to be answered; nobody when the answer is there, or nobody is there to get it. */
  #to: Answered | undefined;
  /** The connection that had the answer last. */
  #told = "";
  #reply: string | undefined;
  readonly #answered: (record: FrameRecord) => void;

  constructor(id: FrameId, answered: (record: FrameRecord) => void) {
    this.id = id;
    this.#answered = answered;
  }

  /** Characters of the reply that is kept. */
  get length(): number {
    return this.#reply?.length ?? 0;
  }

  /** It came over this connection: that is where the reply goes; once, however often it comes there. */
  cameOver(to: Answered): void {
    if (this.#reply === undefined) this.#to = to;
    else if (this.#told !== to.id) this.#tell(to, this.#reply);
  }

  /** Whether somebody on another connection waits for the answer. */
  isAwaitedElsewhere(connection: Answered): boolean {
    return this.#to !== undefined && this.#to !== connection;
  }

  /** The connection is gone; says whether it took along what was never begun. */
  left(connection: Answered): boolean {
    if (this.#to !== connection) return false;
    this.#to = undefined;
    return !this.begun;
  }

  /** Only the first answer counts. */
  answer(outcome: Outcome): void {
    if (this.#reply !== undefined) return;
    const reply = String(replyFrame(this.id, outcome).data);
    const to = this.#to;
    this.#to = undefined;
    this.#reply = reply;
    if (to !== undefined) this.#tell(to, reply);
    if (reply.length > replyLengthMax) this.forget();
    this.#answered(this);
  }

  /** Keeps only that it was run. */
  forget(): void {
    this.#reply = String(replyFrame(this.id, { error: lost }).data);
  }

  #tell(to: Answered, reply: string): void {
    this.#told = to.id;
    to.send(Payload.frame(reply));
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
    this.#record.answer(failed ? { error: internalFault } : { data: null });
    this.#busyWith(undefined);
  }
}

/** The frames of one client, over however many connections. */
export class ClientReceipts {
  readonly #records = new Map<FrameId, FrameRecord>();
  /** The oldest first. */
  readonly #answered: FrameRecord[] = [];
  #length = 0;
  connections = 0;
  timer: Timer | undefined;

  /** Characters of the replies that are kept. */
  get length(): number {
    return this.#length;
  }

  /** The record of an id that came over `connection`, if need be a new one. */
  came(id: FrameId, connection: Answered): FrameRecord {
    const record = this.#records.get(id) ?? new FrameRecord(id, (answered) => this.#keep(answered));
    this.#records.set(id, record);
    record.cameOver(connection);
    return record;
  }

  left(connection: Answered): void {
    // What was never begun may come again, and is run then.
    for (const record of this.#records.values()) if (record.left(connection)) this.#records.delete(record.id);
  }

  /** What is not answered is kept, whatever the bounds: its sender still waits. */
  #keep(answered: FrameRecord): void {
    this.#answered.push(answered);
    this.#length += answered.length;
    if (this.#answered.length > idsMax) this.#forgetOldest();
    for (const record of this.#answered) {
      if (this.#length <= clientLengthMax) return;
      this.#length -= record.length;
      record.forget();
      this.#length += record.length;
    }
  }

  #forgetOldest(): void {
    const oldest = this.#answered.shift();
    if (oldest === undefined) return;
    this.#records.delete(oldest.id);
    this.#length -= oldest.length;
  }
}

/** What every client sent lately that bore an id, so that nothing is run twice that is sent twice. */
export class Receipts {
  readonly #clock: Clock;
  readonly #clients = new Map<string, ClientReceipts>();
  /** Those without a connection, and what is kept of them; the longest absent first. */
  readonly #absent = new Map<string, number>();
  #absentLength = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param name Whoever it is; without it, nothing is known of it beyond its connection. */
  enter(name: string | undefined): ClientReceipts {
    const known = name === undefined ? undefined : this.#clients.get(name);
    const receipts = known ?? new ClientReceipts();
    receipts.connections += 1;
    receipts.timer?.cancel();
    receipts.timer = undefined;
    if (name === undefined) return receipts;
    this.#clients.set(name, receipts);
    this.#notAbsent(name);
    return receipts;
  }

  leave(name: string | undefined, receipts: ClientReceipts): void {
    receipts.connections -= 1;
    if (name === undefined || receipts.connections > 0) return;
    this.#absent.set(name, receipts.length);
    this.#absentLength += receipts.length;
    receipts.timer = this.#clock.setTimeout(() => this.#forget(name), memoryMs);
    for (const oldest of this.#absent.keys()) {
      if (this.#absent.size <= absentMax && this.#absentLength <= allLengthMax) return;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    this.#clients.get(name)?.timer?.cancel();
    this.#clients.delete(name);
    this.#notAbsent(name);
  }

  #notAbsent(name: string): void {
    this.#absentLength -= this.#absent.get(name) ?? 0;
    this.#absent.delete(name);
  }
}
