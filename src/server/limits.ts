import { type BackplaneLimits, defaultBackplaneLimits } from "../backplane/limits.js";
import { timerMsMax } from "../connection/clock.js";
import { defaultFlushLimits, type FlushLimits } from "../connection/limits.js";
import { defaultMemoryLimits, type MemoryLimits } from "../connection/memory/limits.js";
import { EnfiladeError } from "../errors.js";
import { type ConnectionLimits, defaultConnectionLimits } from "../handler/limits.js";
import { defaultReceiptLimits, type ReceiptLimits } from "../protocol/receipts/receipts.js";
import { defaultStreamLimits, type StreamLimits } from "../protocol/streams/limits.js";
import { defaultRecoveryLimits, type RecoveryLimits } from "../room/limits.js";
import { checkName } from "../wire/options.js";
import { defaultPathLimits, type PathLimits } from "../wire/path.js";
import { defaultHealthLimits, type HealthLimits } from "./diagnostics/health.js";
import { defaultTapLimits, type TapLimits } from "./diagnostics/tap.js";

/** Limits that the server enforces before a connection exists. */
export interface ServerLimits {
  /** Connections of the app, including those in their handshake. Above: 503 with `Retry-After`. Default: 100,000. */
  readonly connectionsMax: number;
  /** Connections from one address; an IPv6 address counts as its /64. Above: 429. Default: no limit. */
  readonly connectionsPerAddressMax: number;
  /**
   * Connections of one user to this node. Above: 429, for `enfilade.v1` close 4009; see the option `userOverflow`.
   * Default: 1,000.
   */
  readonly connectionsPerUserMax: number;
  /**
   * Upgrade requests, HTTP requests to rooms, and rooms that are opened on a socket with many, per second from one
   * address; an IPv6 address counts as its /64. Above: 429 with `Retry-After`. Default: no limit.
   */
  readonly connectsPerSecondMax: number;
  /** Addresses whose rate is known. Above: those that were quiet for longest are forgotten. Default: 100,000. */
  readonly connectAddressesMax: number;
  /** Calls of `authorize` at the same time. Above: 503 with `Retry-After`. Default: 1,000. */
  readonly authorizeMax: number;
  /**
   * Milliseconds for a client to send its request; only with `listen`. Above: 408. Also for a socket with many rooms
   * until a room has accepted its client. Above: close 1001. Default: 10,000.
   */
  readonly handshakeMs: number;
}

/**
 * All limits of an app, for `new App({ limits })`. Those of {@link ConnectionLimits} can also be set for a scope or a
 * route.
 *
 * Names end in their unit: `Ms` are milliseconds, `Bytes` and `BytesMax` bytes, other `Max` a number of things. Times
 * are above 0 and up to 2^31 - 1; the others are positive whole numbers or `Infinity`. `heartbeatMs` can be `false`.
 */
export interface Limits
  extends ServerLimits,
    ConnectionLimits,
    RecoveryLimits,
    ReceiptLimits,
    StreamLimits,
    BackplaneLimits,
    FlushLimits,
    MemoryLimits,
    TapLimits,
    HealthLimits,
    PathLimits {}

export const defaultServerLimits: ServerLimits = {
  connectionsMax: 100_000,
  connectionsPerAddressMax: Number.POSITIVE_INFINITY,
  connectionsPerUserMax: 1_000,
  connectsPerSecondMax: Number.POSITIVE_INFINITY,
  connectAddressesMax: 100_000,
  authorizeMax: 1_000,
  handshakeMs: 10_000,
};

/** The defaults of all limits. */
export const defaultLimits: Limits = {
  ...defaultConnectionLimits,
  ...defaultPathLimits,
  ...defaultServerLimits,
  ...defaultBackplaneLimits,
  ...defaultRecoveryLimits,
  ...defaultReceiptLimits,
  ...defaultStreamLimits,
  ...defaultFlushLimits,
  ...defaultMemoryLimits,
  ...defaultTapLimits,
  ...defaultHealthLimits,
};

/** The limits that a scope or a route may set. */
export function connectionLimitsOf(limits: Limits): ConnectionLimits {
  const names = Object.keys(defaultConnectionLimits);
  // Safe: every name in the defaults is a name in `limits`.
  return Object.fromEntries(
    Object.entries(limits).filter(([name]) => names.includes(name)),
  ) as unknown as ConnectionLimits;
}

/**
 * Returns `base` with `changes` applied.
 *
 * @throws EnfiladeError `ERR_OPTION` when a limit is unknown, cannot be set here, or has an invalid value.
 */
export function mergeLimits<T extends ConnectionLimits>(base: T, changes: Partial<T> = {}): T {
  if (typeof changes !== "object" || changes === null) {
    throw new EnfiladeError("ERR_OPTION", `limits takes an object, got ${String(changes)}`);
  }
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) checkLimit(name, value, base);
  // The type of Object.fromEntries has no names. checkLimit has checked each name and value.
  return { ...base, ...(Object.fromEntries(given) as Partial<T>) };
}

function checkLimit(name: string, value: unknown, base: object): void {
  if (!Object.hasOwn(base, name)) {
    if (!Object.hasOwn(defaultLimits, name)) checkName("there is no limit", name, Object.keys(base));
    const allowed = `a scope or a route may set: ${Object.keys(base).join(", ")}`;
    throw new EnfiladeError("ERR_OPTION", `the limit "${name}" can only be set for the whole app; ${allowed}`);
  }
  if (name === "heartbeatMs" && value === false) return;
  const isTime = /Ms(Max)?$/.test(name);
  const fits = isTime
    ? typeof value === "number" && value > 0 && value <= timerMsMax
    : value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && Number(value) > 0);
  if (fits) return;
  const came = typeof value === "string" ? JSON.stringify(value) : String(value);
  const expected = isTime ? `milliseconds up to ${timerMsMax}` : "a positive whole number or Infinity";
  throw new EnfiladeError("ERR_OPTION", `the limit "${name}" takes ${expected}, got ${came}`);
}
