import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { Resumption } from "../../protocol/dialect.js";
import type { ResumeFailure } from "../../wire/frames.js";
import { isUpTo, type Position } from "../../wire/position.js";

/** A client that begins or resumes, and the limits that hold for it. */
export interface RecoveryDeps {
  readonly read: (query: HistoryQuery) => Promise<HistoryPage>;
  /** The last position that the client received. */
  readonly since: Position | "invalid" | undefined;
  /** How many publications a new client gets. */
  readonly replay: number;
  /** The maximum number of publications for a client that resumes. */
  readonly recoverMax: number;
}

/** The first publications of a client: those that it missed; or, with the reason, those that a new client gets. */
export async function recover(
  deps: RecoveryDeps,
): Promise<{ readonly page: HistoryPage; readonly resumption: Resumption }> {
  const { read, since, replay } = deps;
  // A client that resumes can get at least as many as a new client.
  const recoverMax = Math.max(deps.recoverMax, replay);
  if (since === undefined || since === "invalid") {
    const page = await read({ limit: replay });
    const failure = since === undefined ? {} : { recovered: false, reason: since };
    return { page, resumption: { position: startOf(page), ...failure } };
  }
  const missed = await read({ since, limit: recoverMax + 1 });
  const reason = lossReason(since, missed, recoverMax);
  if (reason === undefined) return { page: missed, resumption: { position: since, recovered: true } };
  const page = await read({ limit: replay });
  const position = startOf(page);
  const isSame = reason !== "epoch" && position.epoch === since.epoch;
  const loss = isSame ? { missed: position.offset - since.offset } : {};
  return { page, resumption: { position, recovered: false, reason, ...loss } };
}

/** Why a client cannot recover all that it missed; `undefined` if it can. */
function lossReason(since: Position, { top, deliveries }: HistoryPage, recoverMax: number): ResumeFailure | undefined {
  if (!isUpTo(top, since)) return "epoch";
  const first = deliveries[0]?.position?.offset ?? top.offset + 1;
  if (first !== since.offset + 1) return "trimmed";
  return deliveries.length > recoverMax ? "limit" : undefined;
}

/** The position before the first publication of a page. */
function startOf({ top, deliveries }: HistoryPage): Position {
  const first = deliveries[0]?.position;
  return first === undefined ? top : { epoch: first.epoch, offset: first.offset - 1 };
}
