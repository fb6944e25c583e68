import type { Backplane, HistoryPage } from "../../backplane/backplane.js";
import type { Refusal } from "../../connection/transport.js";
import { HistoryPages } from "../../room/history/historyPages.js";
import { publicationOf } from "../../room/history/publication.js";
import { recover } from "../../room/history/recovery.js";
import type { RecoveryLimits } from "../../room/limits.js";
import { stateElsewhere } from "../../room/presence/presenceState.js";
import type { Registry } from "../../room/registry.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { RoomPath } from "../../wire/path.js";
import { gapBetween, type Position, positionText, readPosition } from "../../wire/position.js";
import { refusal } from "../refusal.js";

export interface RoomContentDeps {
  readonly registry: Registry;
  readonly backplane: Backplane;
  readonly limits: RecoveryLimits;
}

/** The part of a history that a client asks for. */
export interface ContentQuery {
  readonly since: Position | "invalid" | undefined;
  readonly limit: number;
  /** Whether the newest publication comes first. */
  readonly reverse: boolean;
}

const defaultLimit = 100;

/** Reads the query of a request; a refusal if it is not valid. A wrong `since` is reported as a loss instead. */
export function contentQuery(params: URLSearchParams, { recoverMessagesMax }: RecoveryLimits): ContentQuery | Refusal {
  const since = params.get("since");
  const given = params.get("limit");
  const limit = Number(given ?? Math.min(defaultLimit, recoverMessagesMax));
  if (!/^\d{1,9}$/.test(given ?? "1") || limit < 1 || limit > recoverMessagesMax) {
    return refusal("request", 400, `limit takes a whole number from 1 to ${recoverMessagesMax}`);
  }
  const reverse = params.get("reverse") ?? "false";
  if (reverse !== "true" && reverse !== "false") return refusal("request", 400, "reverse takes true or false");
  return {
    since: since === null ? undefined : (readPosition(since) ?? "invalid"),
    limit,
    reverse: reverse === "true",
  };
}

/** The history and the presence of a room, as JSON. */
export async function roomContent(path: RoomPath, query: ContentQuery, deps: RoomContentDeps): Promise<object> {
  const [history, presence] = await Promise.all([historyOf(path, query, deps), presenceOf(path, deps)]);
  return { room: path, ...history, ...(presence !== undefined && { presence }) };
}

async function historyOf(
  path: RoomPath,
  { since, limit, reverse }: ContentQuery,
  { registry, backplane, limits }: RoomContentDeps,
): Promise<object> {
  const { history, eventProtocol } = registry.configOf(path);
  if (history === undefined) return { publications: [], ...(since !== undefined && { lost: { reason: "off" } }) };
  const pages = new HistoryPages((query) => backplane.readHistory(path, query, history), {
    ...limits,
    recoverMessagesMax: limit,
  });
  const totalMax = Number.POSITIVE_INFINITY;
  const { page, position: begin, resumption } = await recover({ pages, since, replay: limit, totalMax });
  const { recovered, reason, missed } = resumption;
  const part = partOf(page, reverse, limits.recoverBytesMax);
  const publications = publicationsOf(part, begin, eventProtocol);
  return {
    position: positionText(part.deliveries.at(-1)?.position ?? page.top),
    ...(recovered === false && { lost: { reason, missed } }),
    publications: reverse ? publications.toReversed() : publications,
  };
}

/** The publications that fit into a response: at least one, the oldest of them, or with `reverse` the newest. */
function partOf(page: HistoryPage, reverse: boolean, bytesMax: number): HistoryPage {
  const ordered = reverse ? page.deliveries.toReversed() : page.deliveries;
  let bytes = 0;
  const end = ordered.findIndex(({ payload }, index) => {
    bytes += payload.data.length;
    return index > 0 && bytes > bytesMax;
  });
  const fitting = end === -1 ? ordered : ordered.slice(0, end);
  return { ...page, deliveries: reverse ? fitting.toReversed() : fitting };
}

/** @param begin The position before the page. */
function publicationsOf({ deliveries, epochs }: HistoryPage, begin: Position, protocol: EventProtocol): object[] {
  let last: Position | undefined;
  return deliveries.map((delivery) => {
    const { position = begin } = delivery;
    // What comes before the first one was left out, or is a loss that the response reports.
    const missed = last && gapBetween(last, position, epochs)?.missed;
    last = position;
    const { bytes, ...content } = publicationOf(delivery, protocol, missed);
    const base64 = bytes && Buffer.from(bytes).toString("base64");
    return { ...content, position: positionText(position), ...(base64 !== undefined && { base64 }) };
  });
}

/** As clients see it; `undefined` if the room has no presence. */
async function presenceOf(path: RoomPath, { registry, backplane }: RoomContentDeps): Promise<object | undefined> {
  const { mode } = registry.configOf(path).presence;
  if (mode === "off") return undefined;
  const here = registry.roomState(path)?.presence?.shownState;
  const state = here?.count ? here : stateElsewhere(await backplane.readPresence(path), mode);
  const { count, version, users } = state;
  return { count, version, ...(mode === "full" && { users }) };
}
