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

/** The methods of a handler by the events that they answer; of an unknown handler any. */
type Methods<Handler> = unknown extends Handler
  ? { readonly [event: string]: (data?: unknown) => unknown }
  : { readonly [Method in keyof Handler as EventOf<Method>]-?: NonNullable<Handler[Method]> };

/** The names of a handler's events: of its methods `onJoin`, say, `join`. Without a handler: whatever name. */
export type EventName<Handler> = keyof Methods<Handler> & string;

/** What an event is sent with: the first parameter of its method. */
export type EventData<Handler, Event extends EventName<Handler>> = Methods<Handler>[Event] extends (
  ...args: infer Args
) => unknown
  ? Args[0]
  : never;

/** What an event is answered with: what its method returns, awaited. */
export type EventReply<Handler, Event extends EventName<Handler>> = Methods<Handler>[Event] extends (
  ...args: never
) => infer Reply
  ? Awaited<Reply>
  : never;

/** The arguments behind the name: the data may be left out where the method can do without. */
export type EventArguments<Handler, Event extends EventName<Handler>, More extends readonly unknown[] = []> =
  undefined extends EventData<Handler, Event>
    ? [data?: EventData<Handler, Event>, ...more: More]
    : [data: EventData<Handler, Event>, ...more: More];
