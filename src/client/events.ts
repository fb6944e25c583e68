import type { AsJSON, ReplyAsJSON } from "./asJSON.js";

/** Hooks of a handler that no client calls by name. */
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

/** The event of a method: `onJoin` answers `join`. */
type EventOf<Method> = Method extends Hook
  ? never
  : Method extends `on${infer Name}`
    ? Name extends Uncapitalize<Name>
      ? never
      : Uncapitalize<Name>
    : never;

/** Any event, with any data. */
interface AnyCalls {
  readonly [event: string]: (data?: unknown) => unknown;
}

/**
 * What a client may call, by the names of events.
 *
 * Without events of the server, `Client` is a handler, whose methods `onJoin` answer `join`; else it has the events by their names.
 */
type Calls<Client, Server> = unknown extends Server
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

/** What an event is sent with: the first parameter of what answers it. */
export type EventData<Client, Event extends EventName<Client, Server>, Server = unknown> = Calls<
  Client,
  Server
>[Event] extends (...args: infer Args) => unknown
  ? Args[0]
  : never;

/** What an event is answered with: what its method returns, awaited, as JSON makes it. */
export type EventReply<Client, Event extends EventName<Client, Server>, Server = unknown> = Calls<
  Client,
  Server
>[Event] extends (...args: never) => infer Reply
  ? ReplyAsJSON<Awaited<Reply>>
  : never;

/** The arguments behind the name: the data may be left out where the method can do without. */
export type EventArguments<
  Client,
  Event extends EventName<Client, Server>,
  More extends readonly unknown[] = [],
  Server = unknown,
> =
  undefined extends EventData<Client, Event, Server>
    ? [data?: EventData<Client, Event, Server>, ...more: More]
    : [data: EventData<Client, Event, Server>, ...more: More];

/** The names of the events that a server sends. */
export type ServerEventName<Server> = unknown extends Server
  ? string
  : { [Event in keyof Server]: Server[Event] extends Callable ? never : Event }[keyof Server] & string;

/** What such an event arrives with. */
export type ServerEventData<Server, Event> = Event extends keyof Server ? AsJSON<Server[Event]> : unknown;

/** The names of the events that a server requests. */
export type ServerRequestName<Server> = unknown extends Server
  ? string
  : { [Event in keyof Server]: Server[Event] extends Callable ? Event : never }[keyof Server] & string;

/** What such a request arrives with. */
export type ServerRequestData<Server, Event> = Event extends keyof Server
  ? Server[Event] extends (...args: infer Args) => unknown
    ? AsJSON<Args[0]>
    : never
  : unknown;

/** What such a request is answered with. */
export type ServerRequestReply<Server, Event> = Event extends keyof Server
  ? Server[Event] extends (...args: never) => infer Reply
    ? Reply | Promise<Awaited<Reply>>
    : never
  : unknown;
