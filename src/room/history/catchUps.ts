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

export interface CatchUpsDeps {
  /** Reads what is kept of a room. */
  readonly read: (path: RoomPath, query: HistoryQuery) => Promise<HistoryPage>;
  readonly clock: Clock;
  readonly limits: { readonly subscriberMessagesMax: number; readonly recoverMessagesMax: number };
  /** Takes errors of calls that nothing awaits. */
  readonly onError: (error: unknown) => void;
  /** Called when a connection has what its home kept: it takes for itself what is published. */
  readonly live: (member: Member) => void;
}

/** One connection on its way. */
export interface CatchUp {
  /** Takes what is published meanwhile. */
  readonly buffer: DeliverySink;
  /** Sends what is kept; to be called when the stand-in hears. Resolves when the connection is live. */
  run(): Promise<void>;
}

/** Milliseconds that bytes made of what is kept are held for the next reader. */
const encodedMs = 1_000;

/** How connections come to a home that remembers: with what is kept first, and then what is live. */
export class CatchUps {
  readonly #deps: CatchUpsDeps;
  readonly #turns = new TurnScheduler();
  /** What was encoded lately, to be freed together. */
  #encoded: Set<Delivery> | undefined;

  constructor(deps: CatchUpsDeps) {
    this.#deps = deps;
  }

  /** @param replay How many publications one gets that begins anew. */
  begin(member: Member, replay: number, client: JoiningClient | undefined): CatchUp {
    const handover = this.#handover(member, client);
    const read = () => this.#first(member, replay, client);
    const run = () => handover.run(read).catch((error) => turnAway(member, error, client !== undefined));
    return { buffer: handover, run };
  }

  #handover(member: Member, client: JoiningClient | undefined): Handover {
    const { limits, live } = this.#deps;
    const { outboxBytesMax: bytesMax, highWaterBytes } = member.limits;
    const losses = client === undefined ? { gap: outrun, skipped: outrun } : lossesOf(member, client);
    const handover: Handover = new Handover({
      ...{ ...losses, messagesMax: limits.subscriberMessagesMax, bytesMax },
      turn: () => this.#turns.next(),
      read: (query) => this.#read(member, query),
      deliver: (delivery) => {
        this.#shareEncoded(delivery);
        delivery.address ??= member.home;
        try {
          deliverTo(member, delivery);
        } catch (error) {
          // Kept by a node whose route has another event protocol: it must not keep the client from the rest.
          this.#deps.onError(error);
        }
        // A long past must not make a client slow that is not.
        return member.bufferedBytes < highWaterBytes ? undefined : this.#pace(member, handover);
      },
      live: () => live(member),
    });
    return handover;
  }

  /** The first that a connection gets of its home. */
  async #first(member: Member, replay: number, client: JoiningClient | undefined): Promise<HistoryPage> {
    const read = (query: HistoryQuery) => this.#read(member, query);
    if (client === undefined) return read({ limit: replay });
    const { recoverMessagesMax: recoverMax } = this.#deps.limits;
    const { kept, resumption } = await recover({ read, replay, recoverMax, since: client.since });
    client.welcome(resumption);
    return kept;
  }

  #read(member: Member, query: HistoryQuery): Promise<HistoryPage> {
    return this.#deps.read(member.home, query);
  }

  /** Bytes of what is kept are made once for all who read it at the same time. */
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

  /** Waits for a client that reads, as long as a message may wait for it. */
  async #pace(member: Member, handover: Handover): Promise<void> {
    const { outboxAgeMsMax } = member.limits;
    if ((await within(this.#deps.clock, outboxAgeMsMax, member.flushed())) === timeIsUp) member.onOverflow();
    if (!member.isOpen) handover.cancel();
  }
}

/** Ends a connection that cannot have what is kept; it may come back, and try again. */
function turnAway(member: Member, error: unknown, isJoiningClient: boolean): void {
  const code = error instanceof EnfiladeError ? error.code : undefined;
  if (code === "ERR_BACKPLANE") member.close(CloseCode.tryAgainLater, "try again later", false);
  // A client that never catches up with its room is slow.
  else if (code === "ERR_HISTORY" && isJoiningClient) member.onOverflow();
  else throw error;
}

/** A client that cannot be told of a hole must not be left with one. */
function outrun(): never {
  throw new EnfiladeError("ERR_HISTORY", "more was published than is kept, while a client read what is kept");
}

/** How a client that knows of positions learns of losses: by a jump in its offsets, or by a frame. */
function lossesOf(member: Member, client: JoiningClient): Pick<HandoverDeps, "gap" | "skipped"> {
  return {
    gap: (last, { epoch, offset }) => {
      if (epoch === last.epoch) return;
      const gap = { position: { epoch, offset: offset - 1 }, missed: undefined };
      const bytes = member.dialect.encodeGap(gap, member.home, member);
      if (bytes !== undefined) member.push(bytes, undefined);
    },
    skipped: (count) => client.onSkipped(count),
  };
}
