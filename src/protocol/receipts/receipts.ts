import type { Claims } from "../../backplane/claims.js";
import { LinkedList } from "../../backplane/memory/linkedList.js";
import type { Clock, Timer } from "../../connection/clock.js";
import type { MemoryLedger } from "../../connection/memory/ledger.js";
import { type ClientReceiptLimits, ClientReceipts } from "./clientReceipts.js";

/** The limits for the ids and replies that the server stores, so that a frame that is sent again is not run again. */
export interface ReceiptLimits extends ClientReceiptLimits {
  /** Answered ids of one `enfilade.v1` client. Above: the oldest is forgotten. Default: 128. */
  readonly receiptsMax: number;
  /** Milliseconds after the last connection of a client, until its ids are forgotten. Default: 300,000. */
  readonly receiptsMs: number;
  /** Clients without a connection whose ids are stored. Above: the one absent longest is forgotten. Default: 10,000. */
  readonly receiptClientsMax: number;
  /** Bytes of the stored replies of one client. Above: the oldest replies are dropped. Default: 16 KiB. */
  readonly clientReceiptsBytesMax: number;
  /**
   * Bytes of the ids and replies of all clients, connected or absent. Above: the clients with the most forget their
   * oldest, then the one absent longest is forgotten. Default: 32 MiB.
   */
  readonly receiptsBytesMax: number;
}

export const defaultReceiptLimits: ReceiptLimits = {
  receiptsMax: 128,
  receiptsMs: 5 * 60_000,
  receiptClientsMax: 10_000,
  replyBytesMax: 8 * 1024,
  clientReceiptsBytesMax: 16 * 1024,
  receiptsBytesMax: 32 * 1024 * 1024,
};

export interface ReceiptsDeps {
  readonly clock: Clock;
  readonly limits: ReceiptLimits;
  /** Those of the backplane; `undefined` if each node recognizes only the frames that it ran itself. */
  readonly claims: Claims | undefined;
  readonly memory: Pick<MemoryLedger, "receiptBytes" | "onForgotten">;
}

/** Clients that are checked for more than their share, each time that space is needed. */
const checksPerAnswer = 32;

/** The recent frames with an id of all clients, so that a frame that is sent again is not run again. */
export class Receipts {
  readonly #deps: ReceiptsDeps;
  /** The clients with a name: those that may return on another connection. */
  readonly #clients = new Map<string, ClientReceipts>();
  /** The clients without a connection that may return, the longest absent first. */
  readonly #absent = new LinkedList<ClientReceipts>();
  #absentCount = 0;
  /** Fires when the client absent for longest is forgotten. */
  #timer: Timer | undefined;
  /** The clients that hold bytes, with or without a name, and these bytes; their sum is in the ledger. */
  readonly #counted = new Map<ClientReceipts, number>();
  /** The clients that are still to be checked for more than their share. */
  #unchecked: Iterator<ClientReceipts> | undefined;

  constructor(deps: ReceiptsDeps) {
    this.#deps = deps;
  }

  /**
   * Called when a connection opens. Returns the receipts of its client.
   *
   * @param name Identifies the client over its connections; without a name, receipts end with the connection.
   * @param connection The id of the connection.
   * @param userId That of the user of the client; `undefined` if it has none.
   */
  enter(name: string | undefined, connection: string, userId: string | undefined): ClientReceipts {
    const { limits, claims } = this.#deps;
    const known = name === undefined ? undefined : this.#clients.get(name);
    const shared = name === undefined ? undefined : claims;
    const receipts = known ?? new ClientReceipts(name ?? connection, limits, shared, this.#onGrown);
    receipts.userId = userId;
    receipts.connections += 1;
    if (name === undefined) return receipts;
    this.#clients.set(name, receipts);
    this.#return(receipts);
    return receipts;
  }

  /** Called when a connection has ended. */
  leave(name: string | undefined, receipts: ClientReceipts): void {
    receipts.connections -= 1;
    // It was forgotten while the connection was open.
    if (receipts.isForgotten) return;
    this.#count(receipts);
    if (receipts.connections > 0) return;
    if (name === undefined) this.#uncount(receipts);
    else if (receipts.bytes === 0) this.#forget(receipts);
    else this.#leave(receipts);
  }

  readonly #onGrown = (client: ClientReceipts): void => {
    // Its handler has answered after all its connections had ended.
    if (client.isForgotten) return;
    this.#count(client);
    const { limits, memory } = this.#deps;
    if (memory.receiptBytes <= limits.receiptsBytesMax) return;
    this.#shrinkToShare(client);
    for (let checks = 0; checks < checksPerAnswer && memory.receiptBytes > limits.receiptsBytesMax; checks += 1) {
      this.#unchecked ??= this.#counted.keys();
      const next = this.#unchecked.next();
      if (next.done) this.#unchecked = undefined;
      else this.#shrinkToShare(next.value);
    }
    while (memory.receiptBytes > limits.receiptsBytesMax && this.#absent.first !== undefined)
      this.#forgetLongestAbsent();
  };

  /** A client with more than its share of `receiptsBytesMax` forgets its oldest answers. */
  #shrinkToShare(client: ClientReceipts): void {
    const share = this.#deps.limits.receiptsBytesMax / this.#counted.size;
    let forgotten = 0;
    while (client.bytes > share && client.forgetOldest()) forgotten += 1;
    if (forgotten === 0) return;
    this.#count(client);
    this.#deps.memory.onForgotten(forgotten);
  }

  #count(client: ClientReceipts): void {
    const { bytes } = client;
    this.#deps.memory.receiptBytes += bytes - (this.#counted.get(client) ?? 0);
    if (bytes > 0) this.#counted.set(client, bytes);
    else this.#counted.delete(client);
  }

  #uncount(client: ClientReceipts): void {
    client.isForgotten = true;
    this.#deps.memory.receiptBytes -= this.#counted.get(client) ?? 0;
    this.#counted.delete(client);
  }

  #forgetLongestAbsent(): void {
    const { first } = this.#absent;
    if (first === undefined) return;
    this.#deps.memory.onForgotten(first.answers);
    this.#forget(first);
  }

  #forget(client: ClientReceipts): void {
    this.#uncount(client);
    this.#clients.delete(client.name);
    this.#return(client);
  }

  /** The client has no connection, and may return. */
  #leave(client: ClientReceipts): void {
    client.absentSince = this.#deps.clock.now();
    this.#absent.add(client);
    this.#absentCount += 1;
    this.#timer ??= this.#forgetLater();
    if (this.#absentCount > this.#deps.limits.receiptClientsMax) this.#forgetLongestAbsent();
  }

  /** The client has a connection again, or is forgotten. */
  #return(client: ClientReceipts): void {
    if (client.absentSince === undefined) return;
    client.absentSince = undefined;
    this.#absent.remove(client);
    this.#absentCount -= 1;
  }

  /** Forgets all clients of a user, also those that are connected. */
  forgetUser(userId: string): void {
    for (const client of [...this.#clients.values()]) if (client.userId === userId) this.#forget(client);
  }

  #forgetLater(): Timer | undefined {
    const since = this.#absent.first?.absentSince;
    if (since === undefined) return undefined;
    const { clock, limits } = this.#deps;
    return clock.setTimeout(() => this.#forgetOld(), Math.max(0, since + limits.receiptsMs - clock.now()));
  }

  #forgetOld(): void {
    const end = this.#deps.clock.now() - this.#deps.limits.receiptsMs;
    for (let { first } = this.#absent; first !== undefined; { first } = this.#absent) {
      if ((first.absentSince ?? 0) > end) break;
      this.#forget(first);
    }
    this.#timer = this.#forgetLater();
  }
}
