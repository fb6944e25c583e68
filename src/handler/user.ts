import { describeUserId, textOfUserId } from "../backplane/topic.js";
import { EnfiladeError } from "../errors.js";

/**
 * The type of one symbol. Not `unique symbol`, which a method that returns it widens to `symbol`.
 *
 * `User` is the type of `this.user`: `undefined` of an anonymous client is only assigned where that type includes it.
 */
type Anonymous<User> = symbol & { readonly description: "enfilade:anonymous"; readonly user?: { readonly type: User } };

/**
 * Returned from `authorize`, accepts a client without a user: `this.user` is `undefined`.
 *
 * The type of the user must include `undefined`, as `unknown` does: `WebSocketHandler<Params, User | undefined>`. In the
 * `authorize` of a handler, the client keeps the user that the app or a scope returned.
 */
// Symbol.for returns any symbol; the description of this one is its key, and it has no user.
export const anonymous = Symbol.for("enfilade:anonymous") as Anonymous<undefined>;

/** Values that may be a user: none that is missing or false, and no promise, which would be accepted before it settles. */
type Present = (object & { readonly then?: undefined }) | string | number | bigint | true;

type Answer<User> = (User & Present) | Anonymous<User> | Response;

/** The return type of `authorize`: the user, {@link anonymous}, or a refusal. */
export type Authorized<User> = Answer<User> | Promise<Answer<User>>;

/**
 * The id that a user is addressed by; a user that is no object with an `id` has no address.
 *
 * @throws EnfiladeError `ERR_USER` when the id has no text: it would never be found under the name it is sent to.
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
