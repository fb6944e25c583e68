import type { HistoryPage } from "../../backplane/backplane.js";
import type { Resumption } from "../../protocol/dialect.js";
import { gapBetween, type Position } from "../../wire/position.js";
import type { FirstPage } from "./handover.js";
import { type HistoryPages, positionAt, startOf } from "./historyPages.js";

/** A client that begins or resumes, and the limits that hold for it. */
export interface RecoveryDeps {
  readonly pages: HistoryPages;
  /** The last position that the client received. */
  readonly since: Position | "invalid" | undefined;
  /** How many publications a new client gets. */
  readonly replay: number;
  /** The maximum number of publications for a client that resumes. */
  readonly totalMax: number;
}

/** Where a client begins, and what its welcome says about it. */
export interface Recovery extends FirstPage {
  readonly resumption: Resumption;
}

/** The first page of a client: of all that is kept after its position, or of what a new client gets. */
export async function recover({ pages, since, replay, totalMax }: RecoveryDeps): Promise<Recovery> {
  if (since === undefined || since === "invalid") {
    const first = await pages.last(replay);
    const failure = since === undefined ? {} : { recovered: false, reason: since };
    return { ...first, resumption: { position: first.position, ...failure } };
  }
  const page = await pages.after(since);
  const missing = missingAt(since, page);
  // A client that resumes can get at least as many as a new client.
  const newest = page.top.offset - Math.max(totalMax, replay);
  const begin = startOf(page);
  if (begin.offset >= newest) {
    if (missing === undefined) return { page, position: since, resumption: { position: since, recovered: true } };
    return { page, position: begin, resumption: { position: begin, recovered: false, ...missing } };
  }
  const position = positionAt(page.epochs, newest);
  const reason = missing?.reason ?? "limit";
  const missed = reason === "epoch" ? undefined : missedBefore(since, position, page);
  return {
    page: await pages.after(position),
    position,
    resumption: { position, recovered: false, reason, missed },
  };
}

/** What is missing between `since` and the page that was read after it; `undefined` if everything is kept. */
function missingAt(since: Position, page: HistoryPage): Pick<Resumption, "reason" | "missed"> | undefined {
  const { top, epochs } = page;
  const index = epochs.findIndex(({ epoch }) => epoch === since.epoch);
  const isLastEpoch = index === epochs.length - 1;
  if (index === -1 || (isLastEpoch && since.offset > top.offset)) return { reason: "epoch" };
  const begin = startOf(page);
  // Publications of its epoch that the engine has lost are no reason: a frame reports them where the epoch changes.
  const end = epochs[index + 1]?.base ?? top.offset;
  if (begin.offset <= Math.min(since.offset, end)) return undefined;
  return { reason: "trimmed", missed: missedBefore(since, begin, page) };
}

/** How many publications lie between `since` and `position`; `undefined` if not known. */
function missedBefore(since: Position, { epoch, offset }: Position, { epochs }: HistoryPage): number | undefined {
  return gapBetween(since, { epoch, offset: offset + 1 }, epochs)?.missed;
}
