import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Schema } from "../schema.js";
import type { Contract, ContractEvents } from "./contract.js";

/** The schema of the data of an event; `undefined` if the event has no data. */
type DataSchema<Event> = Event extends Schema ? Event : Event extends { readonly data: infer Data } ? Data : undefined;

/** The schema of the reply to an event; `undefined` if the event has no reply. */
type ReplySchema<Event> = Event extends Schema ? undefined : Event extends { readonly reply: infer R } ? R : undefined;

/** The schema of the values of a streamed answer; `undefined` if the event is not answered with a stream. */
type ItemsSchema<Event> = Event extends Schema ? undefined : Event extends { readonly items: infer I } ? I : undefined;

type InputOf<Given> = Given extends Schema ? StandardSchemaV1.InferInput<Given> : undefined;
type OutputOf<Given> = Given extends Schema ? StandardSchemaV1.InferOutput<Given> : undefined;

/** The return type of a method without a reply. */
type NoReply = ReturnType<() => void> | undefined;

/** The names of events with a reply, or of those without. */
type NamesOf<Events extends ContractEvents, HasReply extends boolean> = {
  [Event in keyof Events]: (ReplySchema<Events[Event]> extends Schema ? true : false) extends HasReply ? Event : never;
}[keyof Events] &
  string;

/** The names of the events that a contract receives. */
export type ReceivedName<C extends Contract> = keyof C["receives"] & string;

/** The names of the events that a contract sends. Those with a reply are requests. */
export type SentName<C extends Contract> = NamesOf<C["sends"], false>;

/** The names of the events that the server requests from a client. */
export type RequestedName<C extends Contract> = NamesOf<C["sends"], true>;

/**
 * The data that a method gets: the output of the schema.
 *
 * ```ts
 * onJoin({ name }: DataOf<typeof chat, "join">) {}
 * ```
 */
export type DataOf<C extends Contract, Event extends ReceivedName<C>> = OutputOf<DataSchema<C["receives"][Event]>>;

/** The reply that a method returns: the input of the schema; nothing for an event without a reply. */
export type ReplyOf<C extends Contract, Event extends ReceivedName<C>> =
  ReplySchema<C["receives"][Event]> extends Schema ? InputOf<ReplySchema<C["receives"][Event]>> : NoReply;

/** What a method returns, or a promise of it: the reply, or an async iterable of values that ends with the reply. */
export type AnswerOf<C extends Contract, Event extends ReceivedName<C>> =
  ItemsSchema<C["receives"][Event]> extends Schema
    ? AsyncIterable<InputOf<ItemsSchema<C["receives"][Event]>>, ReplyOf<C, Event>>
    : ReplyOf<C, Event>;

/** The data that `emit`, its relatives and `sendRequest` take: the input of the schema. */
export type SentDataOf<C extends Contract, Event extends keyof C["sends"]> = InputOf<DataSchema<C["sends"][Event]>>;

/** The reply of a client to a request: the output of the schema. */
export type RequestedReplyOf<C extends Contract, Event extends RequestedName<C>> = OutputOf<
  ReplySchema<C["sends"][Event]>
>;

/** The arguments after the name of an event. The data is optional if its schema accepts `undefined`. */
export type SentArguments<C extends Contract, Event extends keyof C["sends"], More extends readonly unknown[]> =
  undefined extends SentDataOf<C, Event>
    ? [data?: SentDataOf<C, Event>, ...more: More]
    : [data: SentDataOf<C, Event>, ...more: More];

/** The events of clients as functions from data to reply, as `connect<ClientEvents>` takes them. */
export type ClientEventsOf<C extends Contract> = {
  readonly [Event in ReceivedName<C>]: (
    data: InputOf<DataSchema<C["receives"][Event]>>,
  ) => ItemsSchema<C["receives"][Event]> extends Schema
    ? AsyncGenerator<OutputOf<ItemsSchema<C["receives"][Event]>>, ReplyTo<C["receives"][Event]>>
    : ReplyTo<C["receives"][Event]>;
};

/** The reply that a client gets. */
type ReplyTo<Event> = ReplySchema<Event> extends Schema ? OutputOf<ReplySchema<Event>> : NoReply;

/** The events of the server: the data of each, or a function from data to reply if the server requests it. */
export type ServerEventsOf<C extends Contract> = {
  readonly [Event in keyof C["sends"] & string]: ReplySchema<C["sends"][Event]> extends Schema
    ? (data: OutputOf<DataSchema<C["sends"][Event]>>) => InputOf<ReplySchema<C["sends"][Event]>>
    : OutputOf<DataSchema<C["sends"][Event]>>;
};
