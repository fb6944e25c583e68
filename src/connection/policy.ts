import { EnfiladeError } from "../errors.js";
import { checkName } from "../wire/options.js";

/**
 * What becomes of a message for a client that lags: one with `highWaterBytes` in its socket that the network has not taken.
 *
 * For a client that keeps up all policies are the same.
 */
export type DeliveryPolicy =
  | { readonly kind: "reliable" }
  | { readonly kind: "skip" }
  | { readonly kind: "latest"; readonly key: string };

/** The message waits, up to `outboxBytesMax` and `outboxAgeMsMax`; past these the client is closed with 4008. The default. */
export const reliable: DeliveryPolicy = { kind: "reliable" };

/** The message is dropped: for what is worthless when it is late. */
export const skip: DeliveryPolicy = { kind: "skip" };

/**
 * The message waits in place of the one with the same key that waits already: for what the next one replaces.
 *
 * ```ts
 * this.sendJSONToThisRoom(cursor, { policy: latest(`cursor:${this.id}`) });
 * ```
 */
export function latest(key: string): DeliveryPolicy {
  return { kind: "latest", key };
}

export interface DeliveryOptions {
  /** What becomes of the message for a client that lags. Default: `reliable`. */
  readonly policy?: DeliveryPolicy | undefined;
}

const deliveryNames = ["policy"];

/**
 * The policy of a message to one client.
 *
 * @throws EnfiladeError `ERR_OPTION` when it has an option that does not exist, or what {@link checkedPolicy} throws.
 */
export function policyOf(options: DeliveryOptions | undefined): DeliveryPolicy | undefined {
  if (options === undefined) return undefined;
  // Not checkNames, which makes a list of the names: this is called for each message.
  for (const name in options)
    if (name !== "policy") checkName("a send to one client has no option", name, deliveryNames);
  return checkedPolicy(options.policy);
}

/** @throws EnfiladeError `ERR_OPTION` when the policy is none, such as the text `"skip"`. */
export function checkedPolicy(policy: DeliveryPolicy | undefined): DeliveryPolicy | undefined {
  // In JavaScript it may be anything.
  const kind: unknown = policy?.kind;
  if (policy === undefined || kind === "reliable" || kind === "skip") return policy;
  if (kind === "latest" && "key" in policy && typeof policy.key === "string") return policy;
  throw new EnfiladeError("ERR_OPTION", `policy takes reliable, skip or latest(key), got ${JSON.stringify(policy)}`);
}
