import { isRoom, type Topic, type UserAddress, userTopic } from "../backplane/topic.js";
import type { RequestOptions } from "../connection/codec.js";
import { type DeliveryOptions, type DeliveryPolicy, policyOf } from "../connection/policy.js";
import type { SendOptions } from "../room/address.js";
import { type Contract, checkContract, type EventSchemas, schemasOf } from "../wire/contract/contract.js";
import { encodeEvent, Payload } from "../wire/payload.js";
import { bindContract } from "./contract/boundContracts.js";
import type { ContractHandlerClass } from "./contract/contractHandler.js";
import { OutgoingChecks } from "./contract/outgoing.js";
import { requestByContract } from "./contract/requests.js";
import { configOf, memberOf, WebSocketHandler } from "./handler.js";

/**
 * Base class for handlers of named events: `{"event": "join", "data": …, "id"?: 7}` calls the method for `join`.
 *
 * Without decorators: `static events = { join: { method: "onJoin", schema: Join } }`. A method gets the data and, as a
 * second argument, the whole {@link IncomingEvent}. If the message has an `id`, the return value of the method is the
 * reply: `{"id": 7, "data": …}`.
 *
 * A method that is `async *`, or returns another async iterable, answers with a stream: each value goes to the client
 * at once, and the return value is the reply. `signal` of the second argument is aborted when the client does not want
 * the values any more. See docs/streams.md.
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
   * Makes a base class for handlers of a contract. The method `onJoin` answers the event `join`, or the one that
   * `@On("join")` or `static events` names.
   *
   * Data of clients is always checked. Outside of production (`NODE_ENV` is not `"production"` when the class is made),
   * the data of events, replies and requests that the server sends is checked, too, and `emit` and its relatives throw
   * `ERR_CONTRACT` at the call.
   *
   * ```ts
   * class Chat extends EventHandler.of(chat)<{ channel: string }, Person> {
   *   onJoin({ name }: DataOf<typeof chat, "join">) {
   *     this.emitToThisRoom("joined", { name });
   *   }
   * }
   * ```
   *
   * A class of yours that extends `EventHandler` has it, too: `PersonHandler.of(chat)` keeps its hooks and its public
   * members.
   *
   * @throws EnfiladeError `ERR_OPTION` when `contract` is not a contract.
   */
  static of<C extends Contract, Base extends EventHandlerClass>(
    this: Base,
    contract: C,
  ): ContractHandlerClass<C, InstanceType<Base>, ConstructorParameters<Base>> {
    checkContract("of()", contract);
    const sends = schemasOf(contract.sends);
    const checks = process.env.NODE_ENV === "production" ? undefined : new OutgoingChecks(sends);
    // biome-ignore lint/complexity/noThisInStatic: a class that extends this one is the base, when it is called on that
    const requesting = withRequests(this, sends, checks);
    const made: unknown = checks === undefined ? requesting : withChecks(requesting, checks);
    bindContract(requesting, { contract, checksOutgoing: checks !== undefined });
    // It has the methods of this type, which are those of EventHandler with narrower names and data.
    return made as ContractHandlerClass<C, InstanceType<Base>, ConstructorParameters<Base>>;
  }

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

/** `EventHandler`, or a class that extends it. */
type EventHandlerClass = abstract new (...args: never[]) => EventHandler<object, unknown>;

/** Adds the requests of a contract. */
function withRequests(
  base: EventHandlerClass,
  sends: ReadonlyMap<string, EventSchemas>,
  checks: OutgoingChecks | undefined,
): EventHandlerClass {
  abstract class RequestingHandler extends base {
    sendRequest(event: string, data?: unknown, options?: RequestOptions): Promise<unknown> {
      const request = { event, data, options, sender: this.constructor.name };
      const reply = requestByContract(this.connection, sends, request, checks);
      // As with `connection.sendRequest`: a handler may await it later, when the client has disconnected.
      reply.catch(() => undefined);
      return reply;
    }
  }
  return RequestingHandler;
}

/** Adds the checks of development. In production these methods do not exist, so that a message costs no more. */
function withChecks(base: EventHandlerClass, checks: OutgoingChecks): EventHandlerClass {
  const check = (handler: object, event: string, data: unknown) =>
    checks.checkEvent(handler.constructor.name, event, data);
  abstract class CheckedHandler extends base {
    override emit(event: string, data?: unknown, options?: DeliveryOptions): void {
      check(this, event, data);
      super.emit(event, data, options);
    }
    override emitToThisRoom(event: string, data?: unknown, options?: SendOptions): void {
      check(this, event, data);
      super.emitToThisRoom(event, data, options);
    }
    override emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
      check(this, event, data);
      super.emitToRoom(path, event, data, options);
    }
    override emitToAll(event: string, data?: unknown, options?: SendOptions): void {
      check(this, event, data);
      super.emitToAll(event, data, options);
    }
    override emitToUser(user: UserAddress, event: string, data?: unknown, options?: SendOptions): void {
      check(this, event, data);
      super.emitToUser(user, event, data, options);
    }
  }
  return CheckedHandler;
}
