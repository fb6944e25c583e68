import { isThenable } from "../connection/inbox.js";
import { type DeliveryOptions, policyOf } from "../connection/policy.js";
import { ConnectionError, EnfiladeError, MessageError } from "../errors.js";
import type { SendOptions } from "../room/address.js";
import type { DecodedEvent, IncomingEvent } from "../wire/events/incomingEvent.js";
import { type EventFailure, type EventProtocol, internalFault, type OutgoingEvent } from "../wire/events/protocol.js";
import { Payload } from "../wire/payload.js";
import { checkSchema, validate } from "../wire/schema.js";
import type { FrameId } from "../wire/v1.js";
import { decoratedEvents } from "./decorators.js";
import type { EventDeclaration, EventMethod } from "./event.js";
import { type AnyHandler, configOf, WebSocketHandler } from "./handler.js";

/** Thrown by an event's method to refuse: a request is answered with `code` and `message`, and goes on. */
export class EventError extends Error {
  override readonly name = "EventError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

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
  /** Answers what the protocol of the route made of a message; `error` says why it could make nothing of it. */
  override onJSON(message: unknown, error?: Error): unknown {
    // What comes without an error was decoded by the protocol, which may be JavaScript and return nothing.
    if (error === undefined) return this.#answer((message as DecodedEvent | null | undefined) ?? {});
    if (error instanceof ConnectionError) return undefined;
    return this.#refuse({}, unreadable(error, configOf(this).eventProtocol));
  }

  /** Sends an event to this client. */
  emit(event: string, data?: unknown, options?: DeliveryOptions): void {
    this.connection.send(this.#encode({ kind: "event", event, data }), policyOf(this.#policed(event, options)));
  }

  /** Sends an event to everyone at this connection's path, this client included unless excepted. */
  emitToThisRoom(event: string, data?: unknown, options?: SendOptions): void {
    const { id, request, app } = this;
    const payload = this.#encode({ kind: "event", event, data, from: id, channel: request.path });
    app.registry.send(request.path, payload, this.#policed(event, options));
  }

  /** Sends an event to everyone in the room of `path`, or in all rooms of a tree; see {@link Registry.sendJSONToRoom}. */
  emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
    const { registry } = this.app;
    const payload = this.#encode({ kind: "event", event, data, from: this.id, channel: registry.addressOf(path) });
    registry.sendToRoom(path, payload, this.#policed(event, options));
  }

  emitToAll(event: string, data?: unknown, options?: SendOptions): void {
    const payload = this.#encode({ kind: "event", event, data, from: this.id });
    this.app.registry.send("all", payload, this.#policed(event, options));
  }

  emitToUser(user: string | { readonly id: string }, event: string, data?: unknown, options?: SendOptions): void {
    const payload = this.#encode({ kind: "event", event, data, from: this.id });
    this.app.registry.sendToUser(user, payload, this.#policed(event, options));
  }

  /** Returns a promise only where there is something to wait for: most methods are done when they return. */
  #answer(incoming: DecodedEvent): unknown {
    const { event, data, id, channel } = incoming;
    if (typeof event !== "string") return this.#refuse({ id }, malformed(configOf(this).eventProtocol));
    const method = eventsOf(this.constructor).get(event);
    if (method === undefined) return this.#refuse(incoming, unknownEvent);
    const room = channel === undefined ? undefined : this.app.registry.roomOf(this.connection, channel);
    if (room === undefined && channel !== undefined) return this.#refuse(incoming, notMember);
    const whole = { event, data, id, channel: room };
    try {
      const read = readData(method, data);
      const reply =
        read instanceof Promise
          ? read.then((value) => this.#call(method, value, whole))
          : this.#call(method, read, whole);
      return isThenable(reply) ? this.#answerLater(incoming, reply) : this.#reply(id, reply);
    } catch (error) {
      return this.#fail(incoming, error);
    }
  }

  async #answerLater(incoming: DecodedEvent, reply: PromiseLike<unknown>): Promise<void> {
    try {
      this.#reply(incoming.id, await reply);
    } catch (error) {
      this.#fail(incoming, error);
    }
  }

  #call({ method }: EventMethod, data: unknown, incoming: IncomingEvent): unknown {
    // Registration saw to it that every event names a method of this class.
    const answer: unknown = Reflect.get(this, method);
    return typeof answer === "function" ? answer.call(this, data, incoming) : undefined;
  }

  #reply(id: FrameId | undefined, data: unknown): void {
    if (id !== undefined || this.connection.awaitsReply) this.#send({ kind: "reply", id: id ?? "", data });
  }

  /** The client is told what it may know; what is no refusal is a fault of ours, and goes on. */
  #fail(incoming: DecodedEvent, error: unknown): void {
    this.#refuse(incoming, faultOf(error));
    if (!isRefusal(error)) throw error;
  }

  #refuse({ id, event }: DecodedEvent, error: EventFailure): void {
    this.#send({ kind: "error", id, event, error });
  }

  #send(outgoing: OutgoingEvent): void {
    if (!this.connection.replied(outgoing)) this.connection.send(this.#encode(outgoing));
  }

  #encode(outgoing: OutgoingEvent): Payload {
    const { eventProtocol } = configOf(this);
    const encoded = eventProtocol.encode(outgoing);
    if (typeof encoded !== "string") return Payload.binary(encoded);
    return eventProtocol.format === "json" ? Payload.encodedJSON(encoded) : Payload.text(encoded);
  }

  /** `options` with the policy of the event, or else of the route, where they name none. */
  #policed(event: string, options: SendOptions | undefined): SendOptions | undefined {
    const { policy: ofRoute, eventPolicies } = configOf(this);
    const policy = options?.policy ?? eventPolicies.get(event) ?? ofRoute;
    return policy === options?.policy ? options : { ...options, policy };
  }
}

const tables = new WeakMap<object, ReadonlyMap<string, EventMethod>>();

/**
 * The events of a class by name: those of its decorators, its parents', and `static events`.
 *
 * @throws EnfiladeError `ERR_EVENTS` when there is none, or one that no method or more than one would answer.
 */
export function eventsOf(handlerClass: object): ReadonlyMap<string, EventMethod> {
  const known = tables.get(handlerClass);
  if (known !== undefined) return known;
  const { name, prototype } = handlerClass as { readonly name: string; readonly prototype: AnyHandler };
  const table = new Map<string, EventMethod>();
  for (const one of [...decoratedEvents(prototype), ...declaredEvents(handlerClass)])
    addEvent(table, one, name, prototype);
  if (table.size === 0) {
    throw new EnfiladeError(
      "ERR_EVENTS",
      `${name} answers no event: mark a method with @On(), or give it static events`,
    );
  }
  tables.set(handlerClass, table);
  return table;
}

function addEvent(table: Map<string, EventMethod>, one: EventMethod, name: string, prototype: AnyHandler): void {
  const { event, method } = one;
  const other = table.get(event);
  const refuse = (why: string) => new EnfiladeError("ERR_EVENTS", `the event "${event}" of ${name} ${why}`);
  if (typeof Reflect.get(prototype, method) !== "function") throw refuse(`names "${method}", which is no method of it`);
  if (other !== undefined && other.method !== method) throw refuse(`is answered by ${other.method} and by ${method}`);
  if (one.schema !== undefined) checkSchema(one.schema, `the event "${event}" of ${name}`);
  if (one.schema !== undefined && one.raw === true) throw refuse("has a schema and is raw; choose one");
  table.set(event, one);
}

function declaredEvents(handlerClass: { readonly events?: Readonly<Record<string, EventDeclaration>> }): EventMethod[] {
  if (Array.isArray(handlerClass.events)) {
    throw new EnfiladeError("ERR_EVENTS", 'static events is an object, such as { join: "onJoin" }, and no list');
  }
  return Object.entries(handlerClass.events ?? {}).map(([event, declared]) =>
    typeof declared === "string" ? { event, method: declared } : { ...declared, event },
  );
}

function readData({ schema, raw }: EventMethod, data: unknown): unknown {
  if (raw === true) return JSON.stringify(data) ?? "null";
  return schema === undefined ? data : validate(schema, data);
}

/** Whether it is for the client to know, and no fault of the handler. */
function isRefusal(error: unknown): error is EventError | MessageError {
  return error instanceof EventError || (error instanceof MessageError && error.code === "ERR_SCHEMA");
}

function faultOf(error: unknown): EventFailure {
  if (!isRefusal(error)) return internalFault;
  if (error instanceof EventError) return { code: error.code, message: error.message };
  return { code: "bad_data", message: error.message, issues: error.issues };
}

const unknownEvent: EventFailure = { code: "unknown_event", message: "there is no such event" };
const notMember: EventFailure = { code: "not_member", message: "you are not in this channel" };

function unreadable(error: Error, protocol: EventProtocol): EventFailure {
  const isText = error instanceof MessageError && error.code === "ERR_BAD_JSON";
  return isText ? { code: "bad_json", message: "the message is not JSON" } : malformed(protocol);
}

function malformed({ example }: EventProtocol): EventFailure {
  return { code: "bad_message", message: `expected ${example}` };
}
