import { isRoom, type Topic, type UserAddress, userTopic } from "../backplane/topic.js";
import { type DeliveryOptions, type DeliveryPolicy, policyOf } from "../connection/policy.js";
import type { SendOptions } from "../room/address.js";
import { encodeEvent, Payload } from "../wire/payload.js";
import { configOf, memberOf, WebSocketHandler } from "./handler.js";

/**
 * Base class for handlers of named events: `{"event": "join", "data": …, "id"?: 7}` calls the method for `join`.
 *
 * Without decorators: `static events = { join: { method: "onJoin", schema: Join } }`. A method gets the data and, as a
 * second argument, the whole {@link IncomingEvent}. If the message has an `id`, the return value of the method is the
 * reply: `{"id": 7, "data": …}`.
 *
 * A method that is `async *`, or returns another async iterable, answers with a stream: each value goes to the client at
 * once, and the return value is the reply. `signal` of the second argument is aborted when the client does not want the
 * values any more. See docs/streams.md.
 *
 * On an error the client gets `{"id"?, "event"?, "error": {"code", "message"}}`, and the connection stays open. The
 * code is `bad_json`, `bad_message`, `unknown_event`, `bad_data`, `not_member`, or that of an {@link EventError} that
 * the method threw. For any other error of the method it is `internal`, and the error is reported to `onError` and the
 * app.
 *
 * The option `eventProtocol` of the app, scope or route sets the format; this is the default, `jsonEvents`.
 *
 * @example
 * ```ts
 * import { App, EventError, EventHandler, On, Route } from "enfilade";
 * import { connect } from "enfilade/testing";
 *
 * @Route("/chat/:channel")
 * class Chat extends EventHandler {
 *   @On("join")
 *   onJoin({ name }: { name: string }) {
 *     if (name === "") throw new EventError("bad_name", "a name is required");
 *     this.emitToThisRoom("joined", { name });
 *     return { members: this.room.size };
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * const ann = await connect(app, "/chat/general");
 * ann.sendJSON({ event: "join", id: 1, data: { name: "Ann" } });
 * console.log(await ann.readJSON()); // { event: "joined", data: { name: "Ann" } }
 * console.log(await ann.readJSON()); // { id: 1, data: { members: 1 } }
 * await app.close();
 * ```
 */
export abstract class EventHandler<
  Params extends object = Readonly<Record<string, string | undefined>>,
  User = unknown,
> extends WebSocketHandler<Params, User> {
  /**
   * Sends an event to this client.
   *
   * @throws EnfiladeError `ERR_VALUE` when `data` cannot be encoded, `ERR_NOT_CONNECTED` during the handshake.
   */
  emit(event: string, data?: unknown, options?: DeliveryOptions): void {
    const { eventProtocol, policy: routePolicy } = configOf(this);
    const policy = policyOf(this.#withEventPolicy(event, options)) ?? routePolicy;
    memberOf(this).send(encodeEvent({ kind: "event", event, data }, eventProtocol), policy);
  }

  /** Sends an event to the home room, this client included; `{ except: this }` leaves it out. */
  emitToThisRoom(event: string, data?: unknown, options?: SendOptions): void {
    const { path } = this.request;
    this.#publish(path, this.#payloadOf(event, data, path), event, options);
  }

  /**
   * Sends an event to the room of `path`, or to all rooms of a tree; see {@link Registry.sendJSONToRoom}.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is not a room path, `ERR_VALUE` when `data` cannot be encoded.
   */
  emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
    const { registry } = this.app;
    const payload = this.#payloadOf(event, data, registry.addressOf(path));
    this.#publish(registry.topicOf(path), payload, event, options);
  }

  /** Sends an event to every connection of the app, on all nodes. */
  emitToAll(event: string, data?: unknown, options?: SendOptions): void {
    this.#publish("all", this.#payloadOf(event, data), event, options);
  }

  /**
   * Sends an event to every connection of one user, named by id or as `authorize` returned it.
   *
   * @throws EnfiladeError `ERR_USER` when `user` has no id that is a string or a finite number.
   */
  emitToUser(user: UserAddress, event: string, data?: unknown, options?: SendOptions): void {
    this.#publish(userTopic(user), this.#payloadOf(event, data), event, options);
  }

  #publish(topic: Topic, payload: Payload, event: string, options: SendOptions | undefined): void {
    const roomPolicy = isRoom(topic) ? this.app.registry.configOf(topic).eventPolicies.get(event) : undefined;
    configOf(this).publisher.send(topic, payload, this.#withEventPolicy(event, options, roomPolicy));
  }

  /** An event that each member gets in the event protocol of its own route. */
  #payloadOf(event: string, data: unknown, channel?: string): Payload {
    return Payload.event({ kind: "event", event, data, from: this.id, channel }, configOf(this).eventProtocol);
  }

  /** Adds the policy of the event, unless `options` has one: that of the room addressed, else that of this route. */
  #withEventPolicy(
    event: string,
    options: SendOptions | undefined,
    roomPolicy?: DeliveryPolicy,
  ): SendOptions | undefined {
    const policy = options?.policy ?? roomPolicy ?? configOf(this).eventPolicies.get(event);
    return policy === options?.policy ? options : { ...options, policy };
  }
}
