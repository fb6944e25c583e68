import type { Contract } from "../wire/contract/contract.js";
import type { ClientEventsOf, ServerEventsOf } from "../wire/contract/eventTypes.js";
import type { AsJSON, ReplyAsJSON } from "./asJSON.js";

/** Hooks of a handler. They do not answer events. */
type Hook =
  | "onJSON"
  | "onMessage"
  | "onBinary"
  | "onConnect"
  | "onClose"
  | "onDrain"
  | "onError"
  | "onRoomJoin"
  | "onRoomLeave";

/** The event that a method answers: `join` for `onJoin`. */
type EventOf<Method> = Method extends Hook
  ? never
  : Method extends `on${infer Name}`
    ? Name extends Uncapitalize<Name>
      ? never
      : Uncapitalize<Name>
    : never;

/** Any event with any data. */
interface AnyCalls {
  readonly [event: string]: (data?: unknown) => unknown;
}

/** The contract that a type is, or that a handler class was made of; `never` if there is none. */
type ContractOf<Client> = unknown extends Client
  ? never
  : Client extends Contract
    ? Client
    : Client extends { readonly "~contract"?: { readonly contract: infer C extends Contract } }
      ? C
      : never;

/** The events of the server in the contract of `Client`; `unknown` if there is no contract. */
export type ServerOf<Client> = [ContractOf<Client>] extends [never] ? unknown : ServerEventsOf<ContractOf<Client>>;

/** The events that a client may send, each as a function from data to reply. */
type Calls<Client, Server> = [ContractOf<Client>] extends [never]
  ? CallsWithoutContract<Client, Server>
  : ClientEventsOf<ContractOf<Client>>;

/**
 * If `Server` is not given, `Client` is a handler class, whose method `onJoin` answers `join`. Else `Client` has the
 * events by their names.
 */
type CallsWithoutContract<Client, Server> = unknown extends Server
  ? unknown extends Client
    ? AnyCalls
    : { readonly [Method in keyof Client as EventOf<Method>]-?: NonNullable<Client[Method]> }
  : unknown extends Client
    ? AnyCalls
    : { readonly [Event in keyof Client]-?: NonNullable<Client[Event]> };

/** A function of any kind. */
type Callable = (...args: never) => unknown;

/** The names of the events that a client may send. */
export type EventName<Client, Server = unknown> = keyof Calls<Client, Server> & string;

/** The data of an event of the client: the first parameter of its method. */
export type EventData<Client, Event extends EventName<Client, Server>, Server = unknown> = Calls<
  Client,
  Server
>[Event] extends (...args: infer Args) => unknown
  ? Args[0]
  : never;

/** The awaited result of the method of an event. */
type EventResult<Client, Event extends EventName<Client, Server>, Server> = Calls<Client, Server>[Event] extends (
  ...args: never
) => infer Reply
  ? Awaited<Reply>
  : never;

/**
 * The reply to an event of the client: the awaited result of its method, as JSON. `never` if the answer is a stream.
 */
export type EventReply<Client, Event extends EventName<Client, Server>, Server = unknown> =
  EventResult<Client, Event, Server> extends AsyncIterable<unknown>
    ? never
    : ReplyAsJSON<EventResult<Client, Event, Server>>;

/** The names of the events that are answered with a stream. */
export type StreamName<Client, Server = unknown> = {
  [Event in EventName<Client, Server>]: unknown extends EventResult<Client, Event, Server>
    ? Event
    : EventResult<Client, Event, Server> extends AsyncIterable<unknown>
      ? Event
      : never;
}[EventName<Client, Server>];

/** The values of a stream, as JSON. */
export type StreamItem<Client, Event extends EventName<Client, Server>, Server = unknown> =
  EventResult<Client, Event, Server> extends AsyncIterable<infer Item> ? ReplyAsJSON<Item> : unknown;

/** The reply at the end of a stream, as JSON: the return value of the generator, or `null`. */
export type StreamReply<Client, Event extends EventName<Client, Server>, Server = unknown> =
  EventResult<Client, Event, Server> extends AsyncGenerator<unknown, infer Reply> ? ReplyAsJSON<Reply> : unknown;

/** The arguments after the name of an event. The data is optional if the method accepts `undefined`. */
export type EventArguments<
  Client,
  Event extends EventName<Client, Server>,
  More extends readonly unknown[] = [],
  Server = unknown,
> =
  undefined extends EventData<Client, Event, Server>
    ? [data?: EventData<Client, Event, Server>, ...more: More]
    : [data: EventData<Client, Event, Server>, ...more: More];

/** The names of the events that the server sends. */
export type ServerEventName<Server> = unknown extends Server
  ? string
  : { [Event in keyof Server]: Server[Event] extends Callable ? never : Event }[keyof Server] & string;

/** The data of an event of the server, as JSON. */
export type ServerEventData<Server, Event> = Event extends keyof Server ? AsJSON<Server[Event]> : unknown;

/** The names of the events that the server requests. */
export type ServerRequestName<Server> = unknown extends Server
  ? string
  : { [Event in keyof Server]: Server[Event] extends Callable ? Event : never }[keyof Server] & string;

/** The data of a request of the server, as JSON. */
export type ServerRequestData<Server, Event> = Event extends keyof Server
  ? Server[Event] extends (...args: infer Args) => unknown
    ? AsJSON<Args[0]>
    : never
  : unknown;

/** The reply to a request of the server. */
export type ServerRequestReply<Server, Event> = Event extends keyof Server
  ? Server[Event] extends (...args: never) => infer Reply
    ? Reply | Promise<Awaited<Reply>>
    : never
  : unknown;
