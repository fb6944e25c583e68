import type { ConnectionRequest } from "../connection/request.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { AnyHandler, HandlerContext } from "./handler.js";
import { userId } from "./user.js";

/** What scopes and handler say: a user, `refused`, or `busy` when they cannot say it now. */
export type Reauthorization = { readonly user: unknown } | "refused" | "busy";

/** Asks scopes and handler again. */
export type Reauthorize = (handler: AnyHandler, request: ConnectionRequest) => Promise<Reauthorization>;

export interface CredentialRefreshDeps {
  readonly session: { readonly handler: AnyHandler; readonly context: HandlerContext; readonly member: Member };
  readonly reauthorize: Reauthorize;
  readonly onError: (error: unknown) => void;
}

/** A client that renews its credentials while it is connected. */
export class CredentialRefresh {
  readonly #deps: CredentialRefreshDeps;
  #isRefreshing = false;
  #nextToken: string | undefined;

  constructor(deps: CredentialRefreshDeps) {
    this.#deps = deps;
  }

  /** One at a time, and of those that come meanwhile the last. */
  refreshWith(token: string): void {
    this.#nextToken = token;
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    this.#refresh()
      .catch(this.#deps.onError)
      .finally(() => {
        this.#isRefreshing = false;
      });
  }

  async #refresh(): Promise<void> {
    const { session, reauthorize } = this.#deps;
    const { handler, member } = session;
    for (let token = this.#nextToken; token !== undefined && member.isOpen; token = this.#nextToken) {
      this.#nextToken = undefined;
      this.#apply(await reauthorize(handler, member.request.with(token)), token);
    }
  }

  #apply(result: Reauthorization, token: string): void {
    const { context, member } = this.#deps.session;
    if (result === "busy") {
      member.close(CloseCode.tryAgainLater, "try again later", false);
    } else if (result === "refused" || !isSameUser(result.user, context.user)) {
      // One that became another user would still be addressed as the one it was.
      member.close(CloseCode.unauthorized, "unauthorized", false);
    } else {
      member.request.renew(token);
      context.user = result.user;
      member.user = result.user;
    }
  }
}

/** Users without an `id` are told apart by their value where they have one; of two objects it is not known. */
function isSameUser(one: unknown, other: unknown): boolean {
  const [id, otherId] = [userId(one), userId(other)];
  if (id !== undefined || otherId !== undefined) return id === otherId;
  return one === other || (one instanceof Object && other instanceof Object);
}
