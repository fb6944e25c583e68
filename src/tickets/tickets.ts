import { type KeyObject, randomBytes } from "node:crypto";
import { type JWTPayload, jwtVerify, SignJWT } from "jose";
import type { ConnectionRequest } from "../connection/request.js";
import { EnfiladeError, HttpError } from "../errors.js";
import { isSerialized } from "../server/access/origin.js";
import { checkNames } from "../wire/options.js";
import { roomName } from "../wire/path.js";
import { keysOf, type TicketKeys } from "./keys.js";
import { UsedIds } from "./usedIds.js";

/** Options of {@link tickets}: either `secret` or `key`. */
export interface TicketsOptions {
  /** At least 32 random bytes, the same on all nodes: the key of HMAC-SHA256. A string counts as its UTF-8 bytes. */
  readonly secret?: string | Uint8Array | undefined;
  /** A key of Ed25519 or P-256 of `node:crypto`. With a public key, tickets can be verified but not issued. */
  readonly key?: KeyObject | undefined;
  /** The issuer that tickets name; others are refused. Set it if several apps share a key. Default: `"enfilade"`. */
  readonly issuer?: string | undefined;
  /** Milliseconds for which a ticket is valid, rounded up to seconds. Default: 30,000. */
  readonly ttlMs?: number | undefined;
  /** The used tickets that are remembered; above, clients are refused with 503. Default: 100,000. */
  readonly usedTicketsMax?: number | undefined;
  /**
   * Claims the id of a ticket for all nodes: resolves with `true` for the first call with an id within `ms`
   * milliseconds, and with `false` for others. Default: each node remembers the tickets that were used on it.
   */
  readonly claim?: ((id: string, ms: number) => boolean | Promise<boolean>) | undefined;
  /** Returns the milliseconds since 1970, for tests. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** The content of a ticket. */
export interface IssueOptions<User> {
  /** The user that `authorize` returns, as JSON; such as `{ id: "ann" }`. */
  readonly user: User;
  /** The path that the ticket is for, such as `/chat/general`. */
  readonly path: string;
  /** The origin of the page that may use it, such as `https://example.com`; `undefined` for a client without one. */
  readonly origin: string | undefined;
}

/** Issues and verifies tickets; see {@link tickets}. */
export interface Tickets<User> {
  /**
   * Issues a ticket. Send it only over TLS to the user whom you have authenticated, and never put it into a URL.
   *
   * @throws EnfiladeError (as a rejection) `ERR_OPTION` without a private key, or for a wrong origin; `ERR_PATH`;
   *   `ERR_VALUE` when JSON cannot express the user.
   */
  issue(options: IssueOptions<User>): Promise<string>;
  /**
   * Verifies `request.token` as a ticket, and returns its user. Each ticket is accepted once.
   *
   * @throws HttpError (as a rejection) 401 when there is no ticket, or it is forged, expired, used, or for another path
   *   or origin; 503 when it cannot be decided whether it was used.
   */
  verify(request: ConnectionRequest): Promise<User>;
}

const optionNames = ["secret", "key", "issuer", "ttlMs", "usedTicketsMax", "claim", "now"];
/** RFC 8725 3.11: no other kind of JWT is taken for a ticket. */
const type = "enfilade-ticket+jwt";
const defaultTtlMs = 30_000;
/** The difference between the clocks of two nodes that is tolerated. */
const skewSeconds = 5;

/**
 * Creates short-lived tickets, for clients that log in over HTTP and connect to another host, or without cookies.
 *
 * A ticket is a JWT (RFC 7519), bound to one path and one origin, and accepted once. It needs the package `jose`. Each
 * node remembers the tickets that were used on it: with many nodes, pass `claim`, or else a ticket can be used once per
 * node. A restart forgets them too.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is wrong.
 * @example
 * ```ts
 * import { randomBytes } from "node:crypto";
 * import { type ConnectionRequest, Route, WebSocketHandler } from "enfilade";
 * import { tickets } from "enfilade/tickets";
 *
 * const chatTickets = tickets<{ id: string }>({ secret: randomBytes(32) });
 *
 * @Route("/chat/:channel")
 * class Chat extends WebSocketHandler<{ channel: string }, { id: string }> {
 *   authorize(request: ConnectionRequest) {
 *     return chatTickets.verify(request);
 *   }
 *
 *   onJSON(message: unknown) {
 *     this.sendJSONToThisRoom({ from: this.user.id, message });
 *   }
 * }
 *
 * // After the login: the client passes it as the option `token` of `connect()`.
 * const ticket = await chatTickets.issue({
 *   user: { id: "ann" },
 *   path: "/chat/general",
 *   origin: "https://example.com",
 * });
 * ```
 */
export function tickets<User>(options: TicketsOptions): Tickets<User> {
  checkNames("tickets()", options, optionNames);
  return new SignedTickets<User>(options);
}

class SignedTickets<User> implements Tickets<User> {
  readonly #keys: TicketKeys;
  readonly #issuer: string;
  readonly #ttlSeconds: number;
  readonly #used: UsedIds;
  readonly #claim: TicketsOptions["claim"];
  readonly #now: () => number;

  constructor({ secret, key, issuer = "enfilade", ttlMs = defaultTtlMs, claim, ...rest }: TicketsOptions) {
    const { usedTicketsMax = 100_000, now = Date.now } = rest;
    if (typeof issuer !== "string" || issuer === "") throw badOption("issuer", "a string that is not empty", issuer);
    if (!(Number.isFinite(ttlMs) && ttlMs > 0)) throw badOption("ttlMs", "milliseconds above 0", ttlMs);
    if (!(Number.isSafeInteger(usedTicketsMax) && usedTicketsMax > 0)) {
      throw badOption("usedTicketsMax", "a positive whole number", usedTicketsMax);
    }
    if (claim !== undefined && typeof claim !== "function") throw badOption("claim", "a function", claim);
    if (typeof now !== "function") throw badOption("now", "a function", now);
    this.#keys = keysOf(secret, key);
    this.#issuer = issuer;
    this.#ttlSeconds = Math.ceil(ttlMs / 1_000);
    this.#used = new UsedIds(usedTicketsMax);
    this.#claim = claim;
    this.#now = now;
  }

  async issue({ user, path, origin }: IssueOptions<User>): Promise<string> {
    const { signing, algorithm } = this.#keys;
    if (signing === undefined) throw badOption("key", "a private key to issue tickets", "a public key");
    if (origin !== undefined && !isSerialized(origin)) {
      throw badOption("origin", 'the origin of a page such as "https://example.com", or undefined', origin);
    }
    const seconds = Math.floor(this.#now() / 1_000);
    const claims = { path: roomName(path), origin: origin ?? null, user: asJSON(user) };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, typ: type })
      .setIssuer(this.#issuer)
      .setJti(randomBytes(16).toString("base64url"))
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + this.#ttlSeconds)
      .sign(signing);
  }

  async verify(request: ConnectionRequest): Promise<User> {
    const { token, path, headers } = request;
    if (token === undefined) throw new HttpError(401, "A ticket is required");
    const { jti, exp, ...claims } = await this.#payloadOf(token);
    if (typeof jti !== "string" || exp === undefined) throw refused();
    // Before the path and the origin are compared: a ticket that was shown in the wrong place may be stolen.
    await this.#use(jti, (exp + skewSeconds) * 1_000);
    if (claims.path !== path || claims.origin !== (headers.origin ?? null)) throw refused();
    // Safe: issue() has signed a User, and JSON has copied it.
    return claims.user as User;
  }

  /** Fails with a fixed phrase: the errors of jose contain the claims. */
  async #payloadOf(token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, this.#keys.verifying, {
        algorithms: [this.#keys.algorithm],
        typ: type,
        issuer: this.#issuer,
        requiredClaims: ["jti", "iat", "exp", "path", "origin", "user"],
        // Bounds the time for which an id is remembered.
        maxTokenAge: this.#ttlSeconds,
        clockTolerance: skewSeconds,
        currentDate: new Date(this.#now()),
      });
      return payload;
    } catch {
      throw refused();
    }
  }

  async #use(id: string, until: number): Promise<void> {
    const now = this.#now();
    const result = this.#used.use(id, until, now);
    if (result === "full") throw new HttpError(503, "Too many tickets", { headers: { "retry-after": "5" } });
    if (result === "used" || !(await this.#isFirstOfAllNodes(id, until - now))) throw refused();
  }

  async #isFirstOfAllNodes(id: string, ms: number): Promise<boolean> {
    try {
      return this.#claim === undefined || (await this.#claim(id, ms)) === true;
    } catch (cause) {
      throw new HttpError(503, "The ticket cannot be checked now", { headers: { "retry-after": "5" }, cause });
    }
  }
}

function refused(): HttpError {
  return new HttpError(401, "The ticket is not valid");
}

function asJSON(user: unknown): unknown {
  const text = JSON.stringify(user);
  if (text === undefined) {
    throw new EnfiladeError("ERR_VALUE", `issue takes a user that JSON can express, got ${typeof user}`);
  }
  return JSON.parse(text);
}

function badOption(name: string, expected: string, came: unknown): EnfiladeError {
  const shown = typeof came === "string" ? JSON.stringify(came) : String(came);
  return new EnfiladeError("ERR_OPTION", `${name} of tickets() takes ${expected}; got ${shown}`);
}
