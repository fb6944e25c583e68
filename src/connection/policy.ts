import { EnfiladeError } from "../errors.js";
import { checkName } from "../wire/options.js";

/**
 * What happens to a message for a client that lags: {@link reliable} (the default), {@link skip}, or {@link latest}.
 *
 * A client lags while its socket buffers `highWaterBytes` or more. For other clients the policy has no effect.
 */
export type DeliveryPolicy =
  | { readonly kind: "reliable" }
  | { readonly kind: "skip" }
  | { readonly kind: "latest"; readonly key: string };

/** The default: the message waits. Above `outboxBytesMax` or `outboxAgeMsMax` the connection is closed with 4008. */
export const reliable: DeliveryPolicy = { kind: "reliable" };

/**
 * The message is dropped for a client that lags. For messages that are useless when they are late.
 *
 * @example
 * ```ts
 * import { App, skip, WebSocketHandler } from "enfilade";
 * import { connect } from "enfilade/testing";
 *
 * class Chat extends WebSocketHandler {
 *   static route = "/chat/:channel";
 *
 *   onJSON() {
 *     this.sendJSONToThisRoom({ typing: this.id }, { policy: skip, except: this });
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * const [ann, bob] = [await connect(app, "/chat/general"), await connect(app, "/chat/general")];
 * ann.sendJSON("typing");
 * console.log(await bob.readJSON());
 * await app.close();
 * ```
 */
export const skip: DeliveryPolicy = { kind: "skip" };

/**
 * The message waits, and replaces a waiting message with the same key. For values of which only the newest counts, such
 * as positions and prices.
 *
 * @param key Names the messages that replace each other, for each client.
 * @example
 * ```ts
 * import { App, latest, WebSocketHandler } from "enfilade";
 * import { connect } from "enfilade/testing";
 *
 * class Board extends WebSocketHandler {
 *   static route = "/board/:id";
 *
 *   onJSON(cursor: unknown) {
 *     this.sendJSONToThisRoom({ from: this.id, cursor }, { policy: latest(`cursor:${this.id}`) });
 *   }
 * }
 *
 * const app = new App({ handlers: [Board] });
 * const ann = await connect(app, "/board/1");
 * ann.sendJSON({ x: 10, y: 20 });
 * console.log(await ann.readJSON());
 * await app.close();
 * ```
 */
export function latest(key: string): DeliveryPolicy {
  return { kind: "latest", key };
}

/** Options of a send to one client. */
export interface DeliveryOptions {
  /**
   * What happens to the message for a client that lags. Default: in a handler that of its event or route; else
   * `reliable`.
   */
  readonly policy?: DeliveryPolicy | undefined;
}

const deliveryNames = ["policy"];

/**
 * The policy of a message to one client.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown, or the policy is invalid.
 */
export function policyOf(options: DeliveryOptions | undefined): DeliveryPolicy | undefined {
  if (options === undefined) return undefined;
  // checkNames() would make a list of the names; this function is called for each message.
  for (const name in options)
    if (name !== "policy") checkName("a send to one client has no option", name, deliveryNames);
  return checkedPolicy(options.policy);
}

/** @throws EnfiladeError `ERR_OPTION` when the policy is invalid, such as the string `"skip"`. */
export function checkedPolicy(policy: DeliveryPolicy | undefined): DeliveryPolicy | undefined {
  // A caller in JavaScript may pass any value.
  const kind: unknown = policy?.kind;
  if (policy === undefined || kind === "reliable" || kind === "skip") return policy;
  if (kind === "latest" && "key" in policy && typeof policy.key === "string") return policy;
  const came = JSON.stringify(policy);
  throw new EnfiladeError("ERR_OPTION", `policy takes reliable, skip or latest(key) of enfilade, got ${came}`);
}

/** RFC 6455 5.5.3: only the most recent ping need be answered. So a client that reads no pongs fills no memory. */
export const newestPong = latest("enfilade:pong");
