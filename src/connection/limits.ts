import { EnfiladeError } from "../errors.js";
import { defaultPathLimits, type PathLimits } from "../wire/path.js";
import { timerMsMax } from "./clock.js";

/** Limits of one connection; the app sets them, a scope and a route may set their own. */
export interface ConnectionLimits {
  /** Bytes of one incoming message, fragments joined and inflated. Past it: close 1009. Default: 64 KiB. */
  readonly messageBytesMax: number;
  /** Fragments of one incoming message. Past it: close 1008. Default: 256. */
  readonly fragmentsMax: number;
  /** Messages waiting for a busy handler. At it the socket is paused; nothing is dropped. Default: 64. */
  readonly inboxMessagesMax: number;
  /** Bytes handed to the socket and not yet taken by the network; what is sent above it waits here. Default: 64 KiB. */
  readonly highWaterBytes: number;
  /** Bytes waiting for a client that reads slowly. Past it: close 4008. Default: 1 MiB. */
  readonly outboxBytesMax: number;
  /** Milliseconds that a message may wait for such a client. Past it: close 4008. Default: 30,000. */
  readonly outboxAgeMsMax: number;
  /** Rooms of one connection. Past it: `join` throws. Default: 128. */
  readonly joinsMax: number;
  /** Milliseconds for `authorize` and the checks of its parameters. Past it: 503. Default: 5,000. */
  readonly authorizeMs: number;
  /** Milliseconds of silence before a ping; after two of them the connection is ended. `false`: never. Default: 25,000. */
  readonly heartbeatMs: number | false;
  /** Milliseconds to wait for the peer's part of a close. Past it: terminated. Default: 5,000. */
  readonly closeMs: number;
}

/** Limits of the whole app. */
export interface Limits extends ConnectionLimits, PathLimits {
  /** Connections, those in their handshake included. Past it: 503 with Retry-After. Default: 100,000. */
  readonly connectionsMax: number;
  /** Connections from one address. Past it: 429. Default: no limit. */
  readonly connectionsPerAddressMax: number;
  /** Rooms on this node. Past it: 503, and `join` throws. Default: 100,000. */
  readonly roomsMax: number;
  /** Bytes of all that is kept of rooms, as accounted for. Past it: the rooms quiet for longest lose their history. Default: 64 MiB. */
  readonly historyBytesMax: number;
  /** Publications waiting for a `room.subscribe()`, or for a client that history is read for. Past it: see there. Default: 1,000. */
  readonly subscriberMessagesMax: number;
  /** Publications that a client gets at most that resumes where it left off. Past it: not recovered. Default: 1,000. */
  readonly recoverMessagesMax: number;
  /** Connections that are written to before the loop is let free for others. Default: 2,000. */
  readonly flushConnectionsMax: number;
  /** Milliseconds for the backplane's engine to answer. Past it: `ERR_BACKPLANE`, and a new connection to it. Default: 5,000. */
  readonly backplaneMs: number;
  /** Bytes of publications that the engine has not taken yet. Past it: `ERR_BACKPLANE`. Default: 16 MiB. */
  readonly backplaneBytesMax: number;
  /** Milliseconds between a node's signs of life to the others; after three without one they count it as gone. Default: 3,000. */
  readonly nodeHeartbeatMs: number;
  /** Milliseconds, give or take a half, between two looks at whether quiet rooms missed something. Default: 30,000. */
  readonly roomCheckMs: number;
  /** Milliseconds for a client to send its request. Past it: cut. Only with `listen`. Default: 10,000. */
  readonly handshakeMs: number;
}

export const defaultConnectionLimits: ConnectionLimits = {
  messageBytesMax: 64 * 1024,
  fragmentsMax: 256,
  inboxMessagesMax: 64,
  highWaterBytes: 64 * 1024,
  outboxBytesMax: 1024 * 1024,
  outboxAgeMsMax: 30_000,
  joinsMax: 128,
  authorizeMs: 5_000,
  heartbeatMs: 25_000,
  closeMs: 5_000,
};

export const defaultLimits: Limits = {
  ...defaultConnectionLimits,
  ...defaultPathLimits,
  connectionsMax: 100_000,
  connectionsPerAddressMax: Number.POSITIVE_INFINITY,
  roomsMax: 100_000,
  historyBytesMax: 64 * 1024 * 1024,
  subscriberMessagesMax: 1_000,
  recoverMessagesMax: 1_000,
  flushConnectionsMax: 2_000,
  backplaneMs: 5_000,
  backplaneBytesMax: 16 * 1024 * 1024,
  nodeHeartbeatMs: 3_000,
  roomCheckMs: 30_000,
  handshakeMs: 10_000,
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
    const where = Object.hasOwn(defaultLimits, name) ? "is set for the whole app" : "is not known";
    throw new EnfiladeError("ERR_OPTION", `the limit "${name}" ${where}; here are: ${Object.keys(base).join(", ")}`);
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
