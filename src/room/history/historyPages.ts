import type { HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import { epochAt, type Position } from "../../wire/position.js";
import type { RecoveryLimits } from "../limits.js";
import type { FirstPage } from "./handover.js";

/** The maximum size of a page. */
export type PageLimits = Pick<RecoveryLimits, "recoverMessagesMax" | "recoverBytesMax">;

/** Reads the history of one room in pages. */
export class HistoryPages {
  readonly #read: (query: HistoryQuery) => Promise<HistoryPage>;
  readonly #limits: PageLimits;

  constructor(read: (query: HistoryQuery) => Promise<HistoryPage>, limits: PageLimits) {
    this.#read = read;
    this.#limits = limits;
  }

  /** The first page after a position. */
  after(since: Position): Promise<HistoryPage> {
    const { recoverMessagesMax: limit, recoverBytesMax: bytesMax } = this.#limits;
    return this.#read({ since, limit, bytesMax });
  }

  /** The last `count` publications; the first page of them, if they are more than fit into one. */
  async last(count: number): Promise<FirstPage> {
    const { recoverMessagesMax } = this.#limits;
    const page = await this.#read({ limit: count > recoverMessagesMax ? 0 : count });
    if (count <= recoverMessagesMax) return { page, position: startOf(page) };
    const { top, epochs } = page;
    const first = await this.after(positionAt(epochs, Math.max(0, top.offset - count)));
    return { page: first, position: startOf(first) };
  }
}

/** The position before the first publication of a page. */
export function startOf({ top, deliveries }: HistoryPage): Position {
  const first = deliveries[0]?.position;
  return first === undefined ? top : { epoch: first.epoch, offset: first.offset - 1 };
}

/** The position before the publication that follows `offset`, in the epoch of that publication. */
export function positionAt(epochs: HistoryPage["epochs"], offset: number): Position {
  return { epoch: epochAt(epochs, offset + 1), offset };
}
