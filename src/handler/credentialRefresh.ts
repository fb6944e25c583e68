import type { ConnectionRequest } from "../connection/request.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { HandlerContext } from "./context.js";
import type { AnyHandler } from "./handler.js";
import { userId } from "./user.js";

/** The result of asking `authorize` again: a user, `refused`, or `busy` when there is no decision for now. */
export type Reauthorization = { readonly user: unknown } | "refused" | "busy";

/** Calls `authorize` of the app, its scopes and the handler again. */
export type Reauthorize = (handler: AnyHandler, request: ConnectionRequest) => Promise<Reauthorization>;

/** The session whose credentials are renewed, and its collaborators. */
export interface CredentialRefreshDeps {
  readonly session: { readonly handler: AnyHandler; readonly context: HandlerContext; readonly member: Member };
  readonly reauthorize: Reauthorize;
  readonly onError: (error: unknown) => void;
}

/** Renews the credentials of a connected client. */
export class CredentialRefresh {
  readonly #deps: CredentialRefreshDeps;
  #isRefreshing = false;
  #nextToken: string | undefined;

  constructor(deps: CredentialRefreshDeps) {
    this.#deps = deps;
  }

  /** Runs one refresh at a time; of the tokens that arrive meanwhile, only the last one is used. */
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
