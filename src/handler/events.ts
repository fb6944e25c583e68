import { isRoom, type Topic, type UserAddress, userTopic } from "../backplane/topic.js";
import { type DeliveryOptions, type DeliveryPolicy, policyOf } from "../connection/policy.js";
import type { SendOptions } from "../room/address.js";
import { encodeEvent, Payload } from "../wire/payload.js";
import { configOf, memberOf, WebSocketHandler } from "./handler.js";

/**
 * A handler of named events: `{"event": "join", "data": …, "id"?: 7}` calls the method that answers `join`.
 *
 * ```ts
 * class Chat extends EventHandler {
 *   @On("join", { schema: Join })
 *   onJoin({ name }: Join) {
 *     this.emitToThisRoom("joined", { name });
 *     return { members: this.room.size };
 *   }
 * }
 * ```
 *
 * Without decorators: `static events = { join: { method: "onJoin", schema: Join } }`. With an `id`, what the method
 * returns is the reply, `{"id": 7, "data": …}`. What cannot be answered is told to the client, as
 * `{"id"?, "event"?, "error": {"code", "message"}}`: `bad_json`, `bad_message`, `unknown_event`, `bad_data`, `not_member`, or
 * the code of an {@link EventError}. A method is called with the data and, second, with the whole {@link IncomingEvent}.
 *
 * How events look is for the `eventProtocol` of the app, scope or route to say; this is `jsonEvents`, the default.
 */
export abstract class EventHandler<
  Params extends object = Readonly<Record<string, string | undefined>>,
  User = unknown,
> extends WebSocketHandler<Params, User> {
  /** Sends an event to this client. */
  emit(event: string, data?: unknown, options?: DeliveryOptions): void {
    const { policy: ofRoute } = configOf(this);
    const policy = policyOf(this.#policed(event, options)) ?? ofRoute;
    const { eventProtocol } = configOf(this);
    memberOf(this).send(encodeEvent({ kind: "event", event, data }, eventProtocol), policy);
  }

  /** Sends an event to everyone at this connection's path, this client included unless excepted. */
  emitToThisRoom(event: string, data?: unknown, options?: SendOptions): void {
    const { path } = this.request;
    this.#publish(path, this.#payloadOf(event, data, path), event, options);
  }

  /** Sends an event to everyone in the room of `path`, or in all rooms of a tree; see {@link Registry.sendJSONToRoom}. */
  emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
    const { registry } = this.app;
    const payload = this.#payloadOf(event, data, registry.addressOf(path));
    this.#publish(registry.topicOf(path), payload, event, options);
  }

  emitToAll(event: string, data?: unknown, options?: SendOptions): void {
    this.#publish("all", this.#payloadOf(event, data), event, options);
  }

  emitToUser(user: UserAddress, event: string, data?: unknown, options?: SendOptions): void {
    this.#publish(userTopic(user), this.#payloadOf(event, data), event, options);
  }

  #publish(topic: Topic, payload: Payload, event: string, options: SendOptions | undefined): void {
    const ofRoom = isRoom(topic) ? this.app.registry.configOf(topic).eventPolicies.get(event) : undefined;
    configOf(this).publisher.send(topic, payload, this.#policed(event, options, ofRoom));
  }

  /** Each member gets it in the event protocol of its own route. */
  #payloadOf(event: string, data: unknown, channel?: string): Payload {
    return Payload.event({ kind: "event", event, data, from: this.id, channel }, configOf(this).eventProtocol);
  }

  /** `options` with the policy of the event, where they name none: that of the room addressed, else that of this route. */
  #policed(event: string, options: SendOptions | undefined, ofRoom?: DeliveryPolicy): SendOptions | undefined {
    const policy = options?.policy ?? ofRoom ?? configOf(this).eventPolicies.get(event);
    return policy === options?.policy ? options : { ...options, policy };
  }
}
