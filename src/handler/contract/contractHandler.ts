import type { UserAddress } from "../../backplane/topic.js";
import type { RequestOptions } from "../../connection/codec.js";
import type { DeliveryOptions } from "../../connection/policy.js";
import type { SendOptions } from "../../room/address.js";
import type { Contract } from "../../wire/contract/contract.js";
import type {
  AnswerOf,
  DataOf,
  ReceivedName,
  RequestedName,
  RequestedReplyOf,
  SentArguments,
  SentName,
} from "../../wire/contract/eventTypes.js";
import type { IncomingEvent } from "../../wire/events/incomingEvent.js";
import type { WebSocketHandler } from "../handler.js";

/** The method that answers an event of a contract. */
type Answer<C extends Contract, Event extends ReceivedName<C>> = (
  data: DataOf<C, Event>,
  incoming: IncomingEvent,
) => AnswerOf<C, Event> | PromiseLike<AnswerOf<C, Event>>;

/**
 * The methods that a contract needs, by the names `onX`: `class Chat extends EventHandler.of(chat) implements
 * EventMethods<typeof chat>` reports a wrong or missing method at its place. Without it, a wrong method is reported
 * where the class is registered.
 */
export type EventMethods<C extends Contract> = {
  [Event in ReceivedName<C> as `on${Capitalize<Event>}`]: Answer<C, Event>;
};

/** The names of events whose methods do not fit the contract, as messages; `never` if all fit. */
type Mismatches<C extends Contract, Handler> = {
  [Event in ReceivedName<C>]: `on${Capitalize<Event>}` extends Exclude<keyof Handler, keyof WebSocketHandler>
    ? Handler[`on${Capitalize<Event>}`] extends Answer<C, Event>
      ? never
      : `on${Capitalize<Event>} does not fit the event ${Event} of the contract`
    : never;
}[ReceivedName<C>];

/** The contract of a class and its mismatches. It exists in types only. */
export interface ContractMark<C extends Contract, Handler> {
  /** The contract. */
  readonly contract: C;
  /** A message for each method that does not fit; `never` if all fit. */
  readonly mismatches: Mismatches<C, Handler>;
}

/** A handler of a contract: what `EventHandler.of(contract)` makes. */
export interface ContractHandler<C extends Contract, Params extends object, User>
  extends WebSocketHandler<Params, User> {
  /** Exists in types only: the contract, for `connect<Chat>`, and the check of the methods at registration. */
  readonly "~contract"?: ContractMark<C, this>;

  /** Sends an event of the contract to this client; see {@link EventHandler.emit}. */
  emit<Event extends SentName<C>>(event: Event, ...args: SentArguments<C, Event, [options?: DeliveryOptions]>): void;

  /** Sends an event of the contract to the home room; see {@link EventHandler.emitToThisRoom}. */
  emitToThisRoom<Event extends SentName<C>>(
    event: Event,
    ...args: SentArguments<C, Event, [options?: SendOptions]>
  ): void;

  /** Sends an event of the contract to a room or a tree; see {@link EventHandler.emitToRoom}. */
  emitToRoom<Event extends SentName<C>>(
    path: string,
    event: Event,
    ...args: SentArguments<C, Event, [options?: SendOptions]>
  ): void;

  /** Sends an event of the contract to every connection of the app; see {@link EventHandler.emitToAll}. */
  emitToAll<Event extends SentName<C>>(event: Event, ...args: SentArguments<C, Event, [options?: SendOptions]>): void;

  /** Sends an event of the contract to every connection of one user; see {@link EventHandler.emitToUser}. */
  emitToUser<Event extends SentName<C>>(
    user: UserAddress,
    event: Event,
    ...args: SentArguments<C, Event, [options?: SendOptions]>
  ): void;

  /**
   * Sends a request of the contract to this client, and resolves with its reply: the output of the schema.
   *
   * @throws MessageError (as a rejection) `ERR_SCHEMA` when the reply does not fit its schema.
   * @throws RequestError (as a rejection) and other errors as {@link Connection.sendRequest}.
   */
  sendRequest<Event extends RequestedName<C>>(
    event: Event,
    ...args: SentArguments<C, Event, [options?: RequestOptions]>
  ): Promise<RequestedReplyOf<C, Event>>;
}

/** The names of the methods that a contract types, and of all members of every handler. */
type TypedByContract = keyof WebSocketHandler | keyof ContractHandler<Contract, object, unknown>;

/** The default parameters of a class: those of the class it was made of, unless these say nothing. */
type DefaultParams<Base> =
  Base extends WebSocketHandler<infer Params, unknown>
    ? object extends Params
      ? Readonly<Record<string, string | undefined>>
      : Params
    : never;

type DefaultUser<Base> = Base extends WebSocketHandler<object, infer User> ? User : never;

/**
 * The class that `EventHandler.of(contract)` makes, to be extended. The parameters and the user are type arguments:
 * `class Chat extends EventHandler.of(chat)<{ channel: string }, Person>`. `Base` is the class that it was made of, and
 * `Args` are the arguments of its constructor.
 */
export interface ContractHandlerClass<
  C extends Contract,
  Base = WebSocketHandler,
  Args extends readonly unknown[] = readonly [],
> {
  /** Typed so that the compiler compares it with that of a class that extends this one, and reports its mismatches. */
  readonly prototype: ContractHandler<C, DefaultParams<Base>, DefaultUser<Base>>;
  new <Params extends object = DefaultParams<Base>, User = DefaultUser<Base>>(
    ...args: Args
  ): ContractHandler<C, Params, User> & Omit<Base, TypedByContract>;
}
