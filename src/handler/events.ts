import { EnfiladeError, MessageError, type MessageIssue } from "../errors.js";
import type { SendOptions } from "../room/address.js";
import { checkSchema, validate } from "../wire/schema.js";
import { decoratedEvents } from "./decorators.js";
import type { EventDeclaration, EventMethod } from "./event.js";
import { type AnyHandler, WebSocketHandler } from "./handler.js";

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

/** What a client learns of a message that could not be answered. */
interface ErrorReply {
  readonly code: string;
  readonly message: string;
  readonly issues?: readonly MessageIssue[];
}

interface EventMessage {
  readonly event: string;
  readonly data: unknown;
  readonly id: string | number | undefined;
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
 * `{"id"?, "event"?, "error": {"code", "message"}}`: `bad_json`, `bad_message`, `unknown_event`, `bad_data`, or the code
 * of an {@link EventError}.
 */
export abstract class EventHandler<
  Params extends object = Readonly<Record<string, string | undefined>>,
  User = unknown,
> extends WebSocketHandler<Params, User> {
  override async onJSON(message: unknown, error?: Error): Promise<void> {
    if (error instanceof MessageError) this.#refuse({}, { code: "bad_json", message: "the message is not JSON" });
    else if (error === undefined) await this.#answer(message);
  }

  /** Sends an event to this client. */
  emit(event: string, data?: unknown): void {
    this.sendJSON({ event, data });
  }

  /** Sends an event to everyone at this connection's path, this client included unless excepted. */
  emitToThisRoom(event: string, data?: unknown, options?: SendOptions): void {
    this.sendJSONToThisRoom({ event, data }, options);
  }

  emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
    this.sendJSONToRoom(path, { event, data }, options);
  }

  emitToAll(event: string, data?: unknown, options?: SendOptions): void {
    this.sendJSONToAll({ event, data }, options);
  }

  emitToUser(user: string | { readonly id: string }, event: string, data?: unknown, options?: SendOptions): void {
    this.sendJSONToUser(user, { event, data }, options);
  }

  async #answer(message: unknown): Promise<void> {
    const { event, data, id } = eventMessage(message);
    if (event === undefined) {
      return this.#refuse({ id }, { code: "bad_message", message: 'expected {"event": "name", "data"?: …, "id"?: …}' });
    }
    const method = eventsOf(this.constructor).get(event);
    if (method === undefined) {
      return this.#refuse({ id, event }, { code: "unknown_event", message: "there is no such event" });
    }
    try {
      const reply = await this.#call(method, await readData(method, data));
      if (id !== undefined) this.sendJSON({ id, data: reply ?? null });
    } catch (error) {
      this.#refuse({ id, event }, errorReply(error));
      if (!isRefusal(error)) throw error;
    }
  }

  async #call({ method }: EventMethod, data: unknown): Promise<unknown> {
    // Registration saw to it that every event names a method of this class.
    const answer: unknown = Reflect.get(this, method);
    return typeof answer === "function" ? answer.call(this, data) : undefined;
  }

  #refuse(about: Partial<EventMessage>, error: ErrorReply): void {
    this.sendJSON(about.id === undefined ? { event: about.event, error } : { id: about.id, error });
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
  return Object.entries(handlerClass.events ?? {}).map(([event, declared]) =>
    typeof declared === "string" ? { event, method: declared } : { ...declared, event },
  );
}

function eventMessage(message: unknown): Partial<EventMessage> {
  if (typeof message !== "object" || message === null) return {};
  const { event, data, id } = message as Readonly<Record<string, unknown>>;
  return {
    ...(typeof event === "string" && { event }),
    ...(typeof id === "string" || typeof id === "number" ? { id } : {}),
    data,
  };
}

function readData({ schema, raw }: EventMethod, data: unknown): unknown {
  if (raw === true) return JSON.stringify(data);
  return schema === undefined ? data : validate(schema, data);
}

/** Whether it is for the client to know, and no fault of the handler. */
function isRefusal(error: unknown): error is EventError | MessageError {
  return error instanceof EventError || (error instanceof MessageError && error.code === "ERR_SCHEMA");
}

function errorReply(error: unknown): ErrorReply {
  if (!isRefusal(error)) return { code: "internal", message: "internal error" };
  if (error instanceof EventError) return { code: error.code, message: error.message };
  return { code: "bad_data", message: error.message, issues: error.issues };
}
