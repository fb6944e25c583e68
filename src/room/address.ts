import type { Topic } from "../backplane/topic.js";
import { type Connection, connectionOf } from "../connection/connection.js";
import type { DeliveryOptions } from "../connection/policy.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import { checkName } from "../wire/options.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";

/** The connections that do not get a message: a connection or a handler, the id of one, or a list of these. */
export type Except = string | { readonly id: string } | readonly (string | { readonly id: string })[];

/** Options of a message to a room, a user, a channel or everyone. */
export interface SendOptions extends DeliveryOptions {
  /** Connections that do not get the message. Default: none; the sender gets it too. */
  readonly except?: Except | undefined;
  /**
   * Whether the room's history keeps the message, if the room has history. Default: `true` with the policy `reliable`,
   * `false` with `latest` and `skip`.
   */
  readonly keep?: boolean | undefined;
  /**
   * Identifies the message in its room, so that it can be published again after an error without coming twice: 1 to
   * 128 printable ASCII characters. A message with an id that the room has kept recently is not published; `publish`
   * resolves with the position of the first one. Needs history. Default: none.
   */
  readonly id?: string | undefined;
}

const sendNames = ["policy", "except", "keep", "id"];

/** @throws EnfiladeError `ERR_OPTION` when `options` has an unknown name. */
export function checkSendOptions(options: SendOptions | undefined): void {
  // Not checkNames, which allocates a list of the names: this is called for each message.
  for (const name in options) {
    const isKnown = name === "policy" || name === "except" || name === "keep" || name === "id";
    if (!isKnown) checkName("a send has no option", name, sendNames);
  }
}

/** The operations that an address needs; the registry implements them. */
export interface AddressDeps {
  /** Resolves when the backplane has accepted the publication; rejects when it has not. */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined>;
  /** As {@link publish}, without a result: a failure is reported to the app. */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void;
  /** Closes all connections of `topic` on every node; a failure is reported to the app. */
  closeAll(topic: Topic, code: number, reason: string): void;
  /** The members of this node; `undefined` if there are none. */
  membersOf(topic: Topic): ReadonlySet<Member> | undefined;
}

/**
 * A set of connections to send to: a room, a channel or a user.
 *
 * A message is encoded once for all of them. Sending to an address without connections does nothing.
 */
export abstract class Address {
  readonly #topic: Topic;
  readonly #deps: AddressDeps;

  constructor(topic: Topic, deps: AddressDeps) {
    this.#topic = topic;
    this.#deps = deps;
  }

  /** The number of connections on this node now. */
  get size(): number {
    return this.#deps.membersOf(this.#topic)?.size ?? 0;
  }

  /** The connections on this node now, as a new array. */
  members(): Connection[] {
    return [...(this.#deps.membersOf(this.#topic) ?? [])].map(connectionOf);
  }

  /**
   * Sends `value` as JSON, on all nodes. A failure of the backplane is reported to the app's event `"error"`; to await
   * it, use {@link publish}.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON cannot encode `value`, `ERR_OPTION` for an invalid option.
   */
  sendJSON(value: unknown, options?: SendOptions): void {
    this.#deps.send(this.#topic, Payload.json(value), options);
  }

  /** Sends a text message; see {@link sendJSON}. */
  sendText(text: string, options?: SendOptions): void {
    this.#deps.send(this.#topic, Payload.text(text), options);
  }

  /** Sends a binary message; see {@link sendJSON}. */
  sendBinary(bytes: Bytes, options?: SendOptions): void {
    this.#deps.send(this.#topic, Payload.binary(bytes), options);
  }

  /**
   * Sends `value` as JSON, and resolves when the message has been sent to all nodes: with its position if the room's
   * history keeps it, else with `undefined`.
   *
   * @throws EnfiladeError (as a rejection) `ERR_BACKPLANE` when the backplane cannot be reached or does not answer in
   *   time, `ERR_VALUE` when JSON cannot encode `value`, `ERR_OPTION` for an invalid option.
   */
  async publish(value: unknown, options?: SendOptions): Promise<Position | undefined> {
    return this.#deps.publish(this.#topic, Payload.json(value), options);
  }

  /** Sends a text message; resolves and rejects like {@link publish}. */
  async publishText(text: string, options?: SendOptions): Promise<Position | undefined> {
    return this.#deps.publish(this.#topic, Payload.text(text), options);
  }

  /** Sends a binary message; resolves and rejects like {@link publish}. */
  async publishBinary(bytes: Bytes, options?: SendOptions): Promise<Position | undefined> {
    return this.#deps.publish(this.#topic, Payload.binary(bytes), options);
  }

  /**
   * Closes all current connections, on every node, and ends the subscriptions to a room.
   *
   * @param code 1000 or 3000 to 4999. Clients of `enfilade.v1` reconnect after 4000 to 4499 only. Default: 1000.
   * @param reason Cut to 123 bytes of UTF-8. Default: empty.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code.
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    this.#deps.closeAll(this.#topic, code, reason);
  }
}

/** All connections that came through one named route, on any path: `app.channel(name)`. */
export class Channel extends Address {
  constructor(
    /** The name of the route. */
    readonly name: string,
    deps: AddressDeps,
  ) {
    super(`channel:${name}`, deps);
  }
}

/** All connections of one user, such as several tabs: `registry.user(id)`. */
export class User extends Address {
  constructor(
    /** The id of the user, as text. */
    readonly id: string,
    deps: AddressDeps,
  ) {
    super(`user:${id}`, deps);
  }
}
