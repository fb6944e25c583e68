import type { HistoryConfig } from "../backplane/backplane.js";
import { timerMsMax } from "../connection/clock.js";
import type { DeliveryPolicy } from "../connection/policy.js";
import { EnfiladeError } from "../errors.js";
import type { HistoryOptions, PresenceOptions, RouteOptions } from "../handler/route.js";
import { defaultRoomConfig, type RoomConfig } from "../room/roomConfig.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import { checkNames } from "../wire/options.js";
import { describeRoute, type Route } from "./router.js";

const defaultSeconds = 3_600;
const defaultBytesMax = 1024 * 1024;
const defaultLeaveGraceMs = 5_000;

/** Options of a scope that also apply to the rooms of its routes. */
export interface InheritedConfig {
  readonly policy: DeliveryPolicy | undefined;
  readonly eventProtocol: EventProtocol;
}

/** The configuration of rooms whose path matches a route. */
export function roomConfigOf(options: RouteOptions, inherited: InheritedConfig): RoomConfig {
  const { history, presence = "off" } = options;
  const { mode, leaveGraceMs = defaultLeaveGraceMs, show } = presenceOptions(presence);
  const eventPolicies = new Map(Object.entries(options.eventPolicies ?? {}));
  const isDefault = history === undefined && mode === "off" && eventPolicies.size === 0;
  const { policy, eventProtocol } = inherited;
  if (isDefault && policy === undefined && eventProtocol === defaultRoomConfig.eventProtocol) return defaultRoomConfig;
  const presenceConfig = { mode, leaveGraceMs, show };
  return { history: history && historyConfig(history), presence: presenceConfig, policy, eventProtocol, eventPolicies };
}

function presenceOptions(presence: NonNullable<RouteOptions["presence"]>): PresenceOptions {
  return typeof presence === "string" ? { mode: presence } : presence;
}

/**
 * A warning for a route whose policy keeps most messages out of its history; `undefined` when there is no such problem.
 */
export function emptyHistoryWarning(route: Route): string | undefined {
  const { history, policy } = route.room;
  if (history === undefined || policy === undefined || policy.kind === "reliable") return undefined;
  const kept = "only messages sent with { keep: true } or { policy: reliable } are kept";
  return `enfilade: the route ${describeRoute(route)} has history, but with its policy "${policy.kind}" ${kept}`;
}

/** @throws EnfiladeError `ERR_OPTION` when `history`, `replay` or `presence` is invalid. */
export function checkRoomOptions(options: RouteOptions): void {
  const { history, replay = 0, presence = "off" } = options;
  if (history !== undefined) checkHistory(history);
  if (replay > 0 && history === undefined) {
    throw new EnfiladeError("ERR_OPTION", "replay needs history, such as history: { size: 100, seconds: 3600 }");
  }
  if (!Number.isSafeInteger(replay) || replay < 0 || (replay > 0 && replay > (history?.size ?? 0))) {
    throw badOption("replay", "a whole number up to the size of history", replay);
  }
  checkPresence(presence);
}

const presenceModes: readonly unknown[] = ["full", "count", "off"];
const presenceNames = ["mode", "leaveGraceMs", "show"];

function checkPresence(presence: NonNullable<RouteOptions["presence"]>): void {
  if (presenceModes.includes(presence)) return;
  if (typeof presence !== "object" || presence === null || Array.isArray(presence)) {
    throw badOption("presence", '"full", "count", "off" or { mode, leaveGraceMs?, show? }', presence);
  }
  checkNames("presence", presence, presenceNames);
  const { mode, leaveGraceMs = defaultLeaveGraceMs, show } = presence;
  if (!presenceModes.includes(mode)) throw badOption("presence.mode", '"full", "count" or "off"', mode);
  if (typeof leaveGraceMs !== "number" || !(leaveGraceMs >= 0 && leaveGraceMs <= timerMsMax)) {
    throw badOption("presence.leaveGraceMs", `milliseconds from 0 to ${timerMsMax}`, leaveGraceMs);
  }
  if (show !== undefined && typeof show !== "function") throw badOption("presence.show", "a function", show);
}

const historyNames = ["size", "seconds", "bytesMax"];

function checkHistory(history: HistoryOptions): void {
  if (typeof history !== "object" || history === null) {
    throw badOption("history", "{ size, seconds?, bytesMax? }", history);
  }
  checkNames("history", history, historyNames);
  const { size, seconds = defaultSeconds, bytesMax = defaultBytesMax } = history;
  if (!Number.isSafeInteger(size) || size < 1) throw badOption("history.size", "a positive whole number", size);
  if (!(seconds > 0)) throw badOption("history.seconds", "a positive number", seconds);
  if (!(bytesMax > 0)) throw badOption("history.bytesMax", "a positive number", bytesMax);
}

function historyConfig({ size, seconds = defaultSeconds, bytesMax = defaultBytesMax }: HistoryOptions): HistoryConfig {
  return { size, bytesMax, ageMsMax: 1_000 * seconds };
}

function badOption(option: string, expected: string, came: unknown): EnfiladeError {
  const text = typeof came === "object" || typeof came === "string" ? JSON.stringify(came) : String(came);
  return new EnfiladeError("ERR_OPTION", `${option} takes ${expected}, got ${text}`);
}
