import { describeUserId, textOfUserId } from "../backplane/topic.js";
import { EnfiladeError } from "../errors.js";

/** The type of one symbol. Not `unique symbol`, which a method that returns it widens to `symbol`. */
type Anonymous = symbol & { readonly description: "enfilade:anonymous" };

/**
 * What `authorize` returns to let a client in without a user. Of a handler in a scope, it leaves the user of the scope.
 */
// Symbol.for returns any symbol; the description of this one is its key.
export const anonymous = Symbol.for("enfilade:anonymous") as Anonymous;

/** What may be a user: nothing that is missing or false, and no promise, which would be let in before it is settled. */
type Present = (object & { readonly then?: undefined }) | string | number | bigint | true;

type Answer<User> = (User & Present) | Anonymous | Response;

/** What may be returned from `authorize`: the user, {@link anonymous}, or a refusal. */
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
