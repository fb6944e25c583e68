import { type BackplaneLimits, defaultBackplaneLimits } from "../backplane/limits.js";
import { timerMsMax } from "../connection/clock.js";
import { defaultFlushLimits, type FlushLimits } from "../connection/limits.js";
import { EnfiladeError } from "../errors.js";
import { type ConnectionLimits, defaultConnectionLimits } from "../handler/limits.js";
import { defaultReceiptLimits, type ReceiptLimits } from "../protocol/v1/receipts.js";
import { defaultRecoveryLimits, type RecoveryLimits } from "../room/limits.js";
import { checkName } from "../wire/options.js";
import { defaultPathLimits, type PathLimits } from "../wire/path.js";
import { defaultTapLimits, type TapLimits } from "./diagnostics/tap.js";

/** What the server enforces before there is a connection. */
export interface ServerLimits {
  /** Connections, those in their handshake included. Past it: 503 with Retry-After. Default: 100,000. */
  readonly connectionsMax: number;
  /** Connections from one address. Past it: 429. Default: no limit. */
  readonly connectionsPerAddressMax: number;
  /** Milliseconds for a client to send its request. Past it: cut. Only with `listen`. Default: 10,000. */
  readonly handshakeMs: number;
}

/** Limits of the whole app: each is named in the layer that enforces it. */
export interface Limits
  extends ServerLimits,
    ConnectionLimits,
    RecoveryLimits,
    ReceiptLimits,
    BackplaneLimits,
    FlushLimits,
    TapLimits,
    PathLimits {}

export const defaultServerLimits: ServerLimits = {
  connectionsMax: 100_000,
  connectionsPerAddressMax: Number.POSITIVE_INFINITY,
  handshakeMs: 10_000,
};

export const defaultLimits: Limits = {
  ...defaultConnectionLimits,
  ...defaultPathLimits,
  ...defaultServerLimits,
  ...defaultBackplaneLimits,
  ...defaultRecoveryLimits,
  ...defaultReceiptLimits,
  ...defaultFlushLimits,
  ...defaultTapLimits,
};

/** Those of `limits` that a scope and a route may set. */
export function connectionLimitsOf(limits: Limits): ConnectionLimits {
  const names = Object.keys(defaultConnectionLimits);
  // Each name of the defaults is one of the limits.
  return Object.fromEntries(
    Object.entries(limits).filter(([name]) => names.includes(name)),
  ) as unknown as ConnectionLimits;
}

/**
 * `base` with `changes` laid over it.
 *
 * @throws EnfiladeError `ERR_OPTION` when a name is unknown here, or a value no positive whole number of its kind.
 */
export function mergeLimits<T extends ConnectionLimits>(base: T, changes: Partial<T> = {}): T {
  if (typeof changes !== "object" || changes === null) {
    throw new EnfiladeError("ERR_OPTION", `limits takes an object, got ${String(changes)}`);
  }
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) checkLimit(name, value, base);
  // Object.fromEntries forgets the names; each of them was found in `base`, and its value checked.
  return { ...base, ...(Object.fromEntries(given) as Partial<T>) };
}

function checkLimit(name: string, value: unknown, base: object): void {
  if (!Object.hasOwn(base, name)) {
    if (!Object.hasOwn(defaultLimits, name)) checkName("there is no limit", name, Object.keys(base));
    const known = Object.keys(base).join(", ");
    throw new EnfiladeError("ERR_OPTION", `the limit "${name}" is set for the whole app; here are: ${known}`);
  }
  if (name === "heartbeatMs" && value === false) return;
  const isTime = /Ms(Max)?$/.test(name);
  const fits = isTime
    ? typeof value === "number" && value > 0 && value <= timerMsMax
    : value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && Number(value) > 0);
  if (fits) return;
  const expected = isTime ? `milliseconds up to ${timerMsMax}` : "a positive whole number or Infinity";
  throw new EnfiladeError("ERR_OPTION", `the limit "${name}" takes ${expected}, got ${String(value)}`);
}
