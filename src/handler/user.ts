import { describeUserId, textOfUserId } from "../backplane/topic.js";
import { EnfiladeError } from "../errors.js";

/**
 * The type of the symbol `anonymous`. TypeScript would widen a `unique symbol` to `symbol` in a method that returns it.
 * `User` is the type of `this.user`, which must include `undefined`.
 */
type Anonymous<User> = symbol & { readonly description: "enfilade:anonymous"; readonly user?: { readonly type: User } };

/**
 * Return it from `authorize` to accept a client without a user: `this.user` is then `undefined`.
 *
 * The type of the user must include `undefined`, as `unknown` does: `WebSocketHandler<Params, User | undefined>`.
 * If the `authorize` of a handler returns it, the client keeps the user that the app or a scope returned.
 */
// Symbol.for returns the type `symbol`. The description of this symbol is its key; `user` exists only in the type.
export const anonymous = Symbol.for("enfilade:anonymous") as Anonymous<undefined>;

/** Values that can be a user: not falsy, and no promise, which would be accepted before it settles. */
type UserValue = (object & { readonly then?: undefined }) | string | number | bigint | true;

type Answer<User> = (User & UserValue) | Anonymous<User> | Response;

/**
 * The return type of `authorize`: a user, {@link anonymous} or, to refuse, a `Response`; or a promise of one.
 *
 * A user is an object, or another value that is not falsy. `sendJSONToUser(id, …)` finds the connections of a user by
 * the `id` of the object.
 */
export type Authorized<User> = Answer<User> | Promise<Answer<User>>;

/**
 * The id that `sendJSONToUser` finds a user by; `undefined` for a user that is not an object with an `id`.
 *
 * @throws EnfiladeError `ERR_USER` when the id is neither a string nor a finite number.
 */
export function userId(user: unknown): string | undefined {
  if (typeof user !== "object" || user === null || !("id" in user)) return undefined;
  const id = textOfUserId(user.id);
  if (id !== undefined) return id;
  const came = describeUserId(user.id);
  throw new EnfiladeError(
    "ERR_USER",
    `authorize returned a user whose id is ${came}; make it a string or a finite number`,
  );
}
