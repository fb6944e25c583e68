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

/** What holds in the scope of a route, for its rooms too. */
export interface InheritedConfig {
  readonly policy: DeliveryPolicy | undefined;
  readonly eventProtocol: EventProtocol;
}

/** What a route's options say of its rooms. */
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

/** What is wrong with rooms that should have a history and never will. */
export function emptyHistoryWarning(route: Route): string | undefined {
  const { history, policy } = route.room;
  if (history === undefined || policy === undefined || policy.kind === "reliable") return undefined;
  const kept = "what is sent with { keep: true } or { policy: reliable }";
  return `enfilade: the route ${describeRoute(route)} has history, and with its policy ${policy.kind} keeps only ${kept}`;
}

/** @throws EnfiladeError `ERR_OPTION`. */
export function checkRoomOptions(options: RouteOptions): void {
  const { history, replay = 0, presence = "off" } = options;
  if (history !== undefined) checkHistory(history);
  if (replay > 0 && history === undefined) {
    throw new EnfiladeError("ERR_OPTION", "replay needs history, such as history: { size: 100, seconds: 3600 }");
  }
  if (!Number.isSafeInteger(replay) || replay < 0 || (replay > 0 && replay > (history?.size ?? 0))) {
    throw wrong("replay", "a whole number up to the size of history", replay);
  }
  checkPresence(presence);
}

const modes: readonly unknown[] = ["full", "count", "off"];
const presenceNames = ["mode", "leaveGraceMs", "show"];

function checkPresence(presence: NonNullable<RouteOptions["presence"]>): void {
  if (modes.includes(presence)) return;
  if (typeof presence !== "object" || presence === null || Array.isArray(presence)) {
    throw wrong("presence", '"full", "count", "off" or { mode, leaveGraceMs?, show? }', presence);
  }
  checkNames("presence", presence, presenceNames);
  const { mode, leaveGraceMs = defaultLeaveGraceMs, show } = presence;
  if (!modes.includes(mode)) throw wrong("presence.mode", '"full", "count" or "off"', mode);
  if (typeof leaveGraceMs !== "number" || !(leaveGraceMs >= 0 && leaveGraceMs <= timerMsMax)) {
    throw wrong("presence.leaveGraceMs", `milliseconds from 0 to ${timerMsMax}`, leaveGraceMs);
  }
  if (show !== undefined && typeof show !== "function") throw wrong("presence.show", "a function", show);
}

const historyNames = ["size", "seconds", "bytesMax"];

function checkHistory(history: HistoryOptions): void {
  if (typeof history !== "object" || history === null) throw wrong("history", "{ size, seconds?, bytesMax? }", history);
  checkNames("history", history, historyNames);
  const { size, seconds = defaultSeconds, bytesMax = defaultBytesMax } = history;
  if (!Number.isSafeInteger(size) || size < 1) throw wrong("history.size", "a positive whole number", size);
  if (!(seconds > 0)) throw wrong("history.seconds", "a positive number", seconds);
  if (!(bytesMax > 0)) throw wrong("history.bytesMax", "a positive number", bytesMax);
}

function historyConfig({ size, seconds = defaultSeconds, bytesMax = defaultBytesMax }: HistoryOptions): HistoryConfig {
  return { size, bytesMax, ageMsMax: 1_000 * seconds };
}

function wrong(option: string, expected: string, came: unknown): EnfiladeError {
  return new EnfiladeError(
    "ERR_OPTION",
    `${option} takes ${expected}, got ${typeof came === "object" ? JSON.stringify(came) : String(came)}`,
  );
}
