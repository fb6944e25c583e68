import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import { EnfiladeError } from "../../errors.js";
import type { JoiningClient, Member } from "../../protocol/dialect.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { RoomPath } from "../../wire/path.js";
import { type DeliverySink, deliverTo } from "../audience.js";
import { Handover, type HandoverDeps } from "./handover.js";
import { recover } from "./recovery.js";
import { TurnScheduler } from "./turnScheduler.js";

/** The operations and limits that joining a home with history needs. */
export interface CatchUpsDeps {
  /** Reads the history of a room. */
  readonly read: (path: RoomPath, query: HistoryQuery) => Promise<HistoryPage>;
  readonly clock: Clock;
  readonly limits: { readonly subscriberMessagesMax: number; readonly recoverMessagesMax: number };
  /** Receives errors of calls that nothing awaits. */
  readonly onError: (error: unknown) => void;
  /** Called when a connection has caught up: from now on live publications go directly to it. */
  readonly onLive: (member: Member) => void;
}

/** One connection that catches up with its home. */
export interface CatchUp {
  /** Receives the publications that arrive meanwhile. */
  readonly buffer: DeliverySink;
  /** Sends the history. Call it when `buffer` receives publications. Resolves when the connection has caught up. */
  run(): Promise<void>;
}

/** Milliseconds that encoded history is kept for the next reader. */
const encodedMs = 1_000;

/** Brings connections into a home with history: they get the history first, then live publications. */
export class CatchUps {
  readonly #deps: CatchUpsDeps;
  readonly #turns = new TurnScheduler();
  /** Deliveries with encoded bytes; these are freed together. */
  #encoded: Set<Delivery> | undefined;

  constructor(deps: CatchUpsDeps) {
    this.#deps = deps;
  }

  /** @param replay How many publications a new client gets. */
  begin(member: Member, replay: number, client: JoiningClient | undefined): CatchUp {
    const handover = this.#handover(member, client);
    const read = () => this.#readFirst(member, replay, client);
    const run = () => handover.run(read).catch((error) => closeFailed(member, error, client !== undefined));
    return { buffer: handover, run };
  }

  #handover(member: Member, client: JoiningClient | undefined): Handover {
    const { limits, onLive } = this.#deps;
    const { outboxBytesMax: bytesMax, highWaterBytes } = member.limits;
    const losses = client === undefined ? { onGap: failOverrun, onSkipped: failOverrun } : lossesOf(member, client);
    const handover: Handover = new Handover({
      ...losses,
      messagesMax: limits.subscriberMessagesMax,
      bytesMax,
      waitForTurn: () => this.#turns.next(),
      read: (query) => this.#read(member, query),
      deliver: (delivery) => {
        this.#shareEncoded(delivery);
        delivery.address ??= member.home;
        try {
          deliverTo(member, delivery);
        } catch (error) {
          // Another node may have another event protocol for this route. The client still gets the other publications.
          this.#deps.onError(error);
        }
        // Without a pause, a long history would make any client look slow.
        return member.bufferedBytes < highWaterBytes ? undefined : this.#waitForClient(member, handover);
      },
      onLive: () => onLive(member),
    });
    return handover;
  }

  /** Reads the first publications of a connection, and welcomes a client of `enfilade.v1`. */
  async #readFirst(member: Member, replay: number, client: JoiningClient | undefined): Promise<HistoryPage> {
    const read = (query: HistoryQuery) => this.#read(member, query);
    if (client === undefined) return read({ limit: replay });
    const { recoverMessagesMax: recoverMax } = this.#deps.limits;
    const { page, resumption } = await recover({ read, replay, recoverMax, since: client.since });
    client.welcome(resumption);
    return page;
  }

  #read(member: Member, query: HistoryQuery): Promise<HistoryPage> {
    return this.#deps.read(member.home, query);
  }

  /** Keeps encoded bytes for a moment, so that clients that read the same history at the same time share them. */
  #shareEncoded(delivery: Delivery): void {
    if (this.#encoded === undefined) {
      const encoded = new Set<Delivery>();
      this.#encoded = encoded;
      this.#deps.clock.setTimeout(() => {
        this.#encoded = undefined;
        for (const one of encoded) one.dropEncoded();
      }, encodedMs);
    }
    this.#encoded.add(delivery);
  }

  /** Waits until the client has read, at most as long as a message may wait for it. */
  async #waitForClient(member: Member, handover: Handover): Promise<void> {
    const { outboxAgeMsMax } = member.limits;
    if ((await within(this.#deps.clock, outboxAgeMsMax, member.flushed())) === timeIsUp) member.onOverflow();
    if (!member.isOpen) handover.cancel();
  }
}

/** Closes a connection that cannot get the history; its client may reconnect and try again. */
function closeFailed(member: Member, error: unknown, isJoiningClient: boolean): void {
  const code = error instanceof EnfiladeError ? error.code : undefined;
  if (code === "ERR_BACKPLANE") member.close(CloseCode.tryAgainLater, "try again later", false);
  // A client that never catches up with its room is slow.
  else if (code === "ERR_HISTORY" && isJoiningClient) member.onOverflow();
  else throw error;
}

/** A plain client cannot be notified of a gap, so its connection ends. */
function failOverrun(): never {
  const problem = "publications were lost while a client read the history";
  throw new EnfiladeError("ERR_HISTORY", `${problem}; raise history.size of the route, or publish more slowly`);
}

/** A client of `enfilade.v1` sees a loss as a jump in the offsets, or gets a frame if the epoch changed. */
function lossesOf(member: Member, client: JoiningClient): Pick<HandoverDeps, "onGap" | "onSkipped"> {
  return {
    onGap: (gap, isNewEpoch) => {
      if (!isNewEpoch) return;
      const bytes = member.dialect.encodeGap(gap, member.home, member);
      if (bytes !== undefined) member.push(bytes, undefined);
    },
    onSkipped: (count) => client.onSkipped(count),
  };
}
