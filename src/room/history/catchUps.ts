import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import type { HomeReader } from "../../connection/outbox.js";
import { channels } from "../../diagnostics.js";
import { EnfiladeError } from "../../errors.js";
import type { JoiningClient, Member, Resumption, RoomJoins } from "../../protocol/dialect.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { RoomPath } from "../../wire/path.js";
import type { Position } from "../../wire/position.js";
import { type Audience, type DeliverySink, deliverTo } from "../audience.js";
import type { RecoveryLimits } from "../limits.js";
import { EncodedHistory } from "./encodedHistory.js";
import { type FirstPage, Handover, type HandoverDeps } from "./handover.js";
import { HistoryPages } from "./historyPages.js";
import { recover } from "./recovery.js";
import { TurnScheduler } from "./turnScheduler.js";

/** Milliseconds until a page is read again that could not be read. */
const retryMs = 1_000;

/** Reports to the diagnostics channels whether clients could resume. Called only if the channel has subscribers. */
export interface ResumptionObserver {
  onResumed(member: Member, resumption: Resumption): void;
}

/** The operations and limits that reading the history of a home needs. */
export interface CatchUpsDeps {
  /** Reads the history of a room. */
  readonly read: (path: RoomPath, query: HistoryQuery) => Promise<HistoryPage>;
  readonly clock: Clock;
  readonly limits: { readonly subscriberMessagesMax: number } & RecoveryLimits;
  readonly observer: ResumptionObserver;
  /** Receives errors of calls that nothing awaits. */
  readonly onError: (error: unknown) => void;
  /** A room of a member; `undefined` if the member is not in it. */
  readonly roomOf: (member: Member, path: RoomPath) => Audience | undefined;
}

/** One connection that catches up with its home. */
export interface CatchUp {
  /** Receives the publications that arrive meanwhile. */
  readonly buffer: DeliverySink;
  /**
   * Sends the history. Call it when `buffer` receives publications. Resolves when the connection has caught up, or when
   * the first of several pages is sent.
   */
  run(): Promise<void>;
}

/** Sends history to connections: to those that enter a room with history, and to those that lag. */
export class CatchUps implements HomeReader<Member> {
  readonly #deps: CatchUpsDeps;
  readonly #turns = new TurnScheduler();
  readonly #encoded: EncodedHistory;

  constructor(deps: CatchUpsDeps) {
    this.#deps = deps;
    this.#encoded = new EncodedHistory(deps.clock);
  }

  /** @param replay How many publications a new client gets. */
  begin(member: Member, replay: number, client: JoiningClient | undefined): CatchUp {
    // The offset of the newest publication that the replay contains.
    let replayed = 0;
    const { home } = member;
    const handover = this.#handover(
      member,
      home,
      () => isLagging(member),
      lossesOf(member, home, () => replayed),
    );
    const read = async () => {
      const first = await this.#readFirst(member, replay, client);
      replayed = first.page.top.offset;
      return first;
    };
    const run = async () => {
      try {
        if (await handover.begin(read)) return;
        this.#finish(member, handover);
      } catch (error) {
        if (!closeFailed(member, error)) throw error;
      }
    };
    return { buffer: handover, run };
  }

  /**
   * A client of `enfilade.v1` joins a room in addition to its home: tells it the position there, and sends it what it
   * has missed since it was in the room on an earlier connection. Call `run` as that of {@link begin}.
   */
  join(member: Member, path: RoomPath, joins: RoomJoins): CatchUp {
    const losses = lossesOf(member, path, () => 0);
    const handover = this.#handover(member, path, () => isLagging(member), losses);
    const read = async () => {
      const pages = this.#pagesOf(path);
      const { recoverTotalMessagesMax: totalMax } = this.#deps.limits;
      const { resumption, ...first } = await recover({ pages, replay: 0, totalMax, since: joins.sinceOf(path) });
      joins.onJoined(path, resumption);
      return first;
    };
    const run = async () => {
      try {
        if (!(await handover.begin(read))) await handover.finish();
      } catch (error) {
        handover.cancel();
        // The client gets new publications only, and learns that others may be missing.
        this.#deps.roomOf(member, path)?.redirect(member, undefined);
        joins.onJoined(path, { recovered: false, reason: "off" });
        if (!isOutage(error)) this.#deps.onError(error);
      }
    };
    return { buffer: handover, run };
  }

  /** Welcomes a client of `enfilade.v1`, and reports the outcome if it asked to resume. */
  welcome(member: Member, client: JoiningClient, resumption: Resumption): void {
    if (resumption.recovered !== undefined && channels.resumed.hasSubscribers) {
      this.#deps.observer.onResumed(member, resumption);
    }
    client.welcome(resumption);
  }

  /** The member reads the publications from `next` on from the history, when it has read what was sent to it. */
  readOn(member: Member, next: Position): boolean {
    const home = this.#deps.roomOf(member, member.home);
    if (home?.last === undefined) return false;
    const losses = lossesOf(member, member.home, () => 0);
    const handover = this.#handover(member, member.home, () => true, losses);
    home.redirect(member, handover);
    handover.beginAfter(home.last, next);
    this.#finish(member, handover, this.#waitForClient(member, handover));
    return true;
  }

  /** Sends the rest of the history. Its caller does not wait for it. */
  #finish(member: Member, handover: Handover, ready: Promise<void> = Promise.resolve()): void {
    const finished = ready.then(() => handover.finish());
    finished.catch((error) => {
      if (closeFailed(member, error)) return;
      member.close(CloseCode.internalError, "internal error", false);
      this.#deps.onError(error);
    });
  }

  #handover(member: Member, path: RoomPath, isLagging: () => boolean, losses: Losses): Handover {
    const { subscriberMessagesMax: messagesMax } = this.#deps.limits;
    const { outboxBytesMax: bytesMax, highWaterBytes } = member.limits;
    const handover: Handover = new Handover({
      ...losses,
      messagesMax,
      bytesMax,
      isLagging,
      waitForTurn: () => this.#turns.next(),
      readAfter: (since) => this.#readAfter(member, path, since),
      deliver: (delivery) => {
        this.#encoded.add(delivery);
        delivery.address ??= path;
        try {
          deliverTo(member, delivery);
        } catch (error) {
          // Another node may have another event protocol for this route. The client still gets the other publications.
          this.#deps.onError(error);
        }
        if (!member.isOpen) handover.cancel();
        // Without a pause, a long history would make any client look slow.
        return member.bufferedBytes < highWaterBytes ? undefined : this.#waitForClient(member, handover);
      },
      onLive: (last) => {
        this.#deps.roomOf(member, path)?.endRedirect(member, last);
        if (path === member.home) member.readHomeBy(this);
      },
    });
    return handover;
  }

  /** Reads the first publications of a connection, and welcomes a client of `enfilade.v1`. */
  async #readFirst(member: Member, replay: number, client: JoiningClient | undefined): Promise<FirstPage> {
    const pages = this.#pagesOf(member.home);
    if (client === undefined) return pages.last(replay);
    const { recoverTotalMessagesMax: totalMax } = this.#deps.limits;
    const { resumption, ...first } = await recover({ pages, replay, totalMax, since: client.since });
    this.welcome(member, client, resumption);
    return first;
  }

  /** Reads the next page. While the engine cannot be reached, the client stays connected, and waits. */
  async #readAfter(member: Member, path: RoomPath, since: Position): Promise<HistoryPage> {
    for (;;) {
      try {
        return await this.#pagesOf(path).after(since);
      } catch (error) {
        if (!isOutage(error) || !member.isOpen) throw error;
        if ((await within(this.#deps.clock, retryMs, member.ended)) !== timeIsUp) throw error;
      }
    }
  }

  #pagesOf(path: RoomPath): HistoryPages {
    return new HistoryPages((query) => this.#deps.read(path, query), this.#deps.limits);
  }

  /** Waits until the client has read, at most as long as a message may wait for it. */
  async #waitForClient(member: Member, handover: Handover): Promise<void> {
    const { outboxAgeMsMax } = member.limits;
    if ((await within(member.clock, outboxAgeMsMax, member.flushed())) === timeIsUp) member.onOverflow();
    if (!member.isOpen) handover.cancel();
  }
}

function isLagging(member: Member): boolean {
  return member.bufferedBytes >= member.limits.highWaterBytes;
}

/** Closes a connection that cannot get the history; its client may try again. Returns `false` for other errors. */
function closeFailed(member: Member, error: unknown): boolean {
  const code = error instanceof EnfiladeError ? error.code : undefined;
  if (isOutage(error)) member.close(CloseCode.tryAgainLater, "try again later", false);
  // The history no longer has what a slow client has not read.
  else if (code === "ERR_HISTORY") member.onOverflow();
  else return false;
  return true;
}

function isOutage(error: unknown): boolean {
  return error instanceof EnfiladeError && error.code === "ERR_BACKPLANE";
}

type Losses = Pick<HandoverDeps, "onGap" | "onSkipped">;

/**
 * A client of `enfilade.v1` sees a loss as a jump in the offsets, or gets a frame if it cannot see it. A plain client
 * cannot be notified of a loss, so its connection ends.
 *
 * @param replayed The newest offset of the replay. What the history has lost before is no loss of a new client.
 */
function lossesOf(member: Member, path: RoomPath, replayed: () => number): Losses {
  const client = member.dialect.joining;
  if (client !== undefined) {
    const isHome = path === member.home;
    return {
      onGap: (gap, isVisible) => {
        // Only the offsets of the home show a loss.
        const bytes = isHome && isVisible ? undefined : member.dialect.encodeGap(gap, path, member);
        if (bytes !== undefined) member.push(bytes, undefined, isHome ? gap.position : undefined);
      },
      onSkipped: (count) => client.onSkipped(count),
    };
  }
  return {
    onGap: ({ missed, position }, isVisible) => {
      if (missed !== 0 && (isVisible || position.offset >= replayed())) failOverrun();
    },
    onSkipped: (_count, isExpected) => {
      if (!isExpected) failOverrun();
    },
  };
}

/** @throws EnfiladeError `ERR_HISTORY`. */
function failOverrun(): never {
  const problem = "publications were lost while a client read the history";
  throw new EnfiladeError("ERR_HISTORY", `${problem}; raise history.size of the route, or publish more slowly`);
}
