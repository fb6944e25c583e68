import { within } from "../../connection/clock.js";
import { TokenBucket } from "../../connection/rate/tokenBucket.js";
import type { ConnectionRequest } from "../../connection/request.js";
import type { Member } from "../../protocol/dialect.js";
import type { Registry } from "../../room/registry.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { HandlerContext } from "../context.js";
import type { AnyHandler } from "../handler.js";
import { userId } from "../user.js";

/** The result of asking `authorize` again: a user, `refused`, or `busy` when there is no decision for now. */
export type Reauthorization = { readonly user: unknown } | "refused" | "busy";

/** Calls `authorize` of the app, its scopes and the handler again. */
export type Reauthorize = (handler: AnyHandler, request: ConnectionRequest) => Promise<Reauthorization>;

/** The session whose credentials are renewed. */
export interface RefreshingSession {
  readonly handler: AnyHandler;
  readonly context: HandlerContext;
  readonly member: Member;
  readonly config: { readonly reauthorize: Reauthorize; readonly registry: Registry };
}

const minuteMs = 60_000;

/** Renews the credentials of a connected client. */
export class CredentialRefresh {
  readonly #session: RefreshingSession;
  readonly #onError: (error: unknown) => void;
  #isRefreshing = false;
  #nextToken: string | undefined;
  /** Made for the first refresh. */
  #rate: TokenBucket | undefined;

  constructor(session: RefreshingSession, onError: (error: unknown) => void) {
    this.#session = session;
    this.#onError = onError;
  }

  /**
   * Runs one refresh at a time, and at most `refreshesPerMinuteMax` in a minute. Of the tokens that arrive meanwhile,
   * only the last one is used.
   */
  refreshWith(token: string): void {
    this.#nextToken = token;
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    this.#refresh()
      .catch(this.#onError)
      .finally(() => {
        this.#isRefreshing = false;
      });
  }

  async #refresh(): Promise<void> {
    const { handler, member, config } = this.#session;
    const { clock } = config.registry;
    const { refreshesPerMinuteMax } = member.limits;
    this.#rate ??= new TokenBucket(refreshesPerMinuteMax, minuteMs, clock.now());
    while (this.#nextToken !== undefined && member.isOpen) {
      const waitMs = this.#rate.take(clock.now());
      if (waitMs > 0) {
        await within(clock, waitMs, member.ended);
        continue;
      }
      const token = this.#nextToken;
      this.#nextToken = undefined;
      this.#apply(await config.reauthorize(handler, member.request.with(token)), token);
    }
  }

  #apply(result: Reauthorization, token: string): void {
    const { context, member } = this.#session;
    if (result === "busy") {
      member.close(CloseCode.tryAgainLater, "try again later", false);
    } else if (result === "refused" || !isSameUser(result.user, context.user)) {
      // The topics of a connection do not change: as another user it would still receive messages to the first one.
      member.close(CloseCode.unauthorized, "unauthorized", false);
    } else {
      member.request.renew(token);
      context.user = result.user;
      member.user = result.user;
    }
  }
}

/** Compares ids; without ids it compares primitive values. Two objects without ids count as the same user. */
function isSameUser(one: unknown, other: unknown): boolean {
  const [id, otherId] = [userId(one), userId(other)];
  if (id !== undefined || otherId !== undefined) return id === otherId;
  return one === other || (one instanceof Object && other instanceof Object);
}
