import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import type { LossReason, Resumption } from "../../protocol/dialect.js";
import { isUpTo, type Position } from "../../wire/position.js";

export interface RecoveryDeps {
  readonly read: (query: HistoryQuery) => Promise<HistoryPage>;
  /** What the client had last. */
  readonly since: Position | "invalid" | undefined;
  /** How many publications a client gets that begins anew. */
  readonly replay: number;
  /** How many a client gets at most that resumes. */
  readonly recoverMax: number;
}

/** What a client gets first: all that it missed, or why not, and then the last few. */
export async function recover(
  deps: RecoveryDeps,
): Promise<{ readonly kept: HistoryPage; readonly resumption: Resumption }> {
  const { read, since, replay } = deps;
  // Whoever resumes gets no less than one who begins.
  const recoverMax = Math.max(deps.recoverMax, replay);
  if (since === undefined || since === "invalid") {
    const kept = await read({ limit: replay });
    const fault = since === undefined ? {} : { recovered: false, reason: since };
    return { kept, resumption: { position: beginningOf(kept), ...fault } };
  }
  const missed = await read({ since, limit: recoverMax + 1 });
  const reason = shortfall(since, missed, recoverMax);
  if (reason === undefined) return { kept: missed, resumption: { position: since, recovered: true } };
  const kept = await read({ limit: replay });
  const position = beginningOf(kept);
  const isSame = reason !== "epoch" && position.epoch === since.epoch;
  const lost = isSame ? { missed: position.offset - since.offset } : {};
  return { kept, resumption: { position, recovered: false, reason, ...lost } };
}

function shortfall(since: Position, { top, deliveries }: HistoryPage, recoverMax: number): LossReason | undefined {
  if (!isUpTo(top, since)) return "epoch";
  const first = deliveries[0]?.position?.offset ?? top.offset + 1;
  if (first !== since.offset + 1) return "trimmed";
  return deliveries.length > recoverMax ? "limit" : undefined;
}

/** The position before the first of what is kept. */
function beginningOf({ top, deliveries }: HistoryPage): Position {
  const first = deliveries[0]?.position;
  return first === undefined ? top : { epoch: first.epoch, offset: first.offset - 1 };
}
