import type { Topic } from "../backplane/topic.js";
import { type Connection, connectionOf } from "../connection/connection.js";
import type { DeliveryOptions } from "../connection/policy.js";
import type { Member } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import { checkName } from "../wire/options.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";

/** Whom a message leaves out: a connection or a handler, an id, or a list of these. */
export type Except = string | { readonly id: string } | readonly (string | { readonly id: string })[];

export interface SendOptions extends DeliveryOptions {
  /** Who does not get the message. Default: no one; the sender gets it too. */
  readonly except?: Except | undefined;
  /**
   * Whether the history of the room keeps it, where there is one. Default: `true` with the policy `reliable`, `false` with
   * `latest` and `skip`.
   */
  readonly keep?: boolean | undefined;
}

const sendNames = ["policy", "except", "keep"];

/** @throws EnfiladeError `ERR_OPTION` when `options` has an option that does not exist. */
export function checkSendOptions(options: SendOptions | undefined): void {
  // Not checkNames, which makes a list of the names: this is called for each message.
  for (const name in options) {
    if (name !== "policy" && name !== "except" && name !== "keep") checkName("a send has no option", name, sendNames);
  }
}

/** What an address needs to reach its members; the registry. */
export interface Post {
  /** Resolves when the publication is on its way; rejects when it is not. */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined>;
  /** The same without an answer: a failure is reported to the app. */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void;
  /** Closes everyone in `topic`, on every node; a failure is reported to the app. */
  closeAll(topic: Topic, code: number, reason: string): void;
  membersOf(topic: Topic): ReadonlySet<Member> | undefined;
}

/**
 * Connections to send to by name, whether any is there or not.
 *
 * A message is encoded once. Sending to an address without members does nothing.
 */
export abstract class Address {
  readonly #topic: Topic;
  readonly #post: Post;

  constructor(topic: Topic, post: Post) {
    this.#topic = topic;
    this.#post = post;
  }

  /** How many connections of this node are there now. */
  get size(): number {
    return this.#post.membersOf(this.#topic)?.size ?? 0;
  }

  /** The connections of this node that are there now; a copy. */
  members(): Connection[] {
    return [...(this.#post.membersOf(this.#topic) ?? [])].map(connectionOf);
  }

  /** @throws EnfiladeError `ERR_VALUE` when JSON has no form for `value`. */
  sendJSON(value: unknown, options?: SendOptions): void {
    this.#post.send(this.#topic, Payload.json(value), options);
  }

  sendText(text: string, options?: SendOptions): void {
    this.#post.send(this.#topic, Payload.text(text), options);
  }

  sendBinary(bytes: Bytes, options?: SendOptions): void {
    this.#post.send(this.#topic, Payload.binary(bytes), options);
  }

  /**
   * Sends `value` as JSON, and resolves when it is on its way, with its position where history is kept.
   *
   * Rejects when it is not on its way, or cannot be encoded.
   */
  async publish(value: unknown, options?: SendOptions): Promise<Position | undefined> {
    return this.#post.publish(this.#topic, Payload.json(value), options);
  }

  /** As {@link publish}, but a text as it is. */
  async publishText(text: string, options?: SendOptions): Promise<Position | undefined> {
    return this.#post.publish(this.#topic, Payload.text(text), options);
  }

  /** As {@link publish}, but bytes. */
  async publishBinary(bytes: Bytes, options?: SendOptions): Promise<Position | undefined> {
    return this.#post.publish(this.#topic, Payload.binary(bytes), options);
  }

  /**
   * Closes every connection that is there now, on every node, and ends what is subscribed there.
   *
   * @param code 1000 or from 3000 to 4999; 4500 and above tell clients of `enfilade.v1` not to come back. Default: 1000.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code.
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    this.#post.closeAll(this.#topic, code, reason);
  }
}

/** All connections of one named route, on any path. */
export class Channel extends Address {
  constructor(
    readonly name: string,
    post: Post,
  ) {
    super(`channel:${name}`, post);
  }
}

/** All connections of one user, such as several tabs. */
export class User extends Address {
  constructor(
    readonly id: string,
    post: Post,
  ) {
    super(`user:${id}`, post);
  }
}
