import { contractOf } from "../../handler/contract/boundContracts.js";
import { type Contract, type EventSchemas, schemasOf } from "../../wire/contract/contract.js";
import { jsonEvents } from "../../wire/events/jsonEvents.js";
import type { Schema } from "../../wire/schema.js";
import type { Route } from "../router.js";
import { type AsyncAPIParameter, addressOf } from "./address.js";
import type { ComponentSchemas, JSONSchema, Reference } from "./componentSchemas.js";
import { type AsyncAPIMessage, dataMessage, errorReference, jsonMessages } from "./messages.js";
import { UniqueNames } from "./uniqueNames.js";

/** A channel: the rooms of one route. */
export interface AsyncAPIChannel {
  /** The path of the rooms, with parameters in braces. */
  readonly address: string;
  /** The name of the handler class. */
  readonly title: string;
  /** What the address and the payloads do not say. */
  readonly description?: string;
  /** The parameters of the address. */
  readonly parameters?: Readonly<Record<string, AsyncAPIParameter>>;
  /** The messages of the contract; none without a contract. */
  readonly messages: Readonly<Record<string, AsyncAPIMessage | Reference>>;
  /** WebSocket. */
  readonly bindings: { readonly ws: { readonly method: "GET"; readonly bindingVersion: "0.1.0" } };
}

/** An event that the app receives or sends. */
export interface AsyncAPIOperation {
  /** `"receive"`: from clients. `"send"`: to clients. */
  readonly action: "receive" | "send";
  /** The channel of the event. */
  readonly channel: Reference;
  /** One line about the event. */
  readonly summary?: string;
  /** The message of the event. */
  readonly messages: readonly Reference[];
  /** The messages that answer the event. */
  readonly reply?: { readonly channel: Reference; readonly messages: readonly Reference[] };
}

/** One route as parts of the document. */
export interface DescribedRoute {
  readonly channel: AsyncAPIChannel;
  readonly operations: readonly (readonly [id: string, operation: AsyncAPIOperation])[];
}

const v1Note =
  "Payloads are the messages of plain clients. Clients of enfilade.v1, such as enfilade/client, send events in frames.";
const otherProtocolNote =
  "The event protocol of this route has a form of its own; payloads show only the data of each event.";

/** Describes a route, with the events of its contract if it has one. */
export function describeRoute(route: Route, id: string, schemas: ComponentSchemas): DescribedRoute {
  const { pattern, handlerClass, params } = route;
  const { address, parameters } = addressOf(pattern, params);
  const title = handlerClass.name || "handler";
  const bound = contractOf(handlerClass);
  const events = bound && new ContractEvents(route, id, schemas, bound.contract, title);
  const isPlain = /^[^(){}*?+\\]*$/.test(pattern);
  const notes = [...(isPlain ? [] : [`The pattern of the route is ${pattern}`]), ...(events?.notes ?? [])];
  const channel: AsyncAPIChannel = {
    address,
    title,
    ...(notes.length > 0 && { description: notes.join("\n\n") }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
    messages: Object.fromEntries(events?.messages ?? []),
    bindings: { ws: { method: "GET", bindingVersion: "0.1.0" } },
  };
  return { channel, operations: events?.operations ?? [] };
}

/** The messages and operations of the contract of one route. */
class ContractEvents {
  readonly messages = new Map<string, AsyncAPIMessage | Reference>();
  readonly operations: (readonly [id: string, operation: AsyncAPIOperation])[] = [];
  readonly notes: readonly string[];
  readonly #id: string;
  readonly #names = new UniqueNames();
  readonly #isJSON: boolean;
  readonly #refer: (part: string, schema: Schema, end: "input" | "output") => Reference;

  constructor(route: Route, id: string, schemas: ComponentSchemas, contract: Contract, title: string) {
    this.#id = id;
    this.#isJSON = route.room.eventProtocol === jsonEvents;
    this.#refer = (part, schema, end) => schemas.reference(contract, title, part, schema, end);
    this.notes = [this.#isJSON ? v1Note : otherProtocolNote];
    for (const [event, given] of schemasOf(contract.receives)) this.#receive(event, given);
    for (const [event, given] of schemasOf(contract.sends)) this.#send(event, given);
  }

  #receive(event: string, given: EventSchemas): void {
    const data = given.data && this.#refer(`receives.${event}.data`, given.data, "input");
    const reply = given.reply && this.#refer(`receives.${event}.reply`, given.reply, "output");
    const items = given.items && this.#refer(`receives.${event}.items`, given.items, "output");
    const messages = [this.#add(`receive.${event}`, this.#message(event, given, data, "received"))];
    const replies = (items ?? reply) && [...this.#items(event, items), ...this.#replies(event, reply ?? {})];
    this.#addOperation("receive", event, given, messages, replies);
  }

  #items(event: string, data: Reference | undefined): Reference[] {
    if (data === undefined) return [];
    const message = this.#isJSON ? jsonMessages.item(event, data) : dataMessage(`value of ${event}`, undefined, data);
    return [this.#add(`item.${event}`, message)];
  }

  #send(event: string, given: EventSchemas): void {
    const data = given.data && this.#refer(`sends.${event}.data`, given.data, "output");
    const reply = given.reply && this.#refer(`sends.${event}.reply`, given.reply, "input");
    const messages = [this.#add(`send.${event}`, this.#message(event, given, data, "sent"))];
    this.#addOperation("send", event, given, messages, reply && [this.#clientReply(event, reply)]);
  }

  #message(event: string, given: EventSchemas, data: Reference | undefined, kind: "received" | "sent") {
    if (!this.#isJSON) return dataMessage(event, given.summary, data);
    // Only clients of enfilade.v1 answer requests, and these get them as frames.
    if (kind === "sent" && given.reply !== undefined) return jsonMessages.request(event, given.summary, data);
    return jsonMessages[kind](event, given, data);
  }

  #replies(event: string, data: Reference | JSONSchema): Reference[] {
    const message = this.#isJSON ? jsonMessages.reply(event, data) : dataMessage(`reply to ${event}`, undefined, data);
    const reply = this.#add(`reply.${event}`, message);
    return this.#isJSON ? [reply, this.#error()] : [reply];
  }

  #clientReply(event: string, data: Reference): Reference {
    return this.#add(`reply.${event}`, jsonMessages.clientReply(event, data));
  }

  #error(): Reference {
    const reference = this.#reference("error");
    if (!this.messages.has("error")) {
      this.#names.unique("error");
      this.messages.set("error", errorReference);
    }
    return reference;
  }

  #add(wanted: string, message: AsyncAPIMessage): Reference {
    const name = this.#names.unique(wanted);
    this.messages.set(name, message);
    return this.#reference(name);
  }

  #reference(name: string): Reference {
    return { $ref: `#/channels/${this.#id}/messages/${name}` };
  }

  #addOperation(
    action: "receive" | "send",
    event: string,
    { summary }: EventSchemas,
    messages: readonly Reference[],
    replies: readonly Reference[] | undefined,
  ): void {
    const channel = { $ref: `#/channels/${this.#id}` };
    const reply = replies && { channel, messages: replies };
    const operation = { action, channel, ...(summary !== undefined && { summary }), messages, ...(reply && { reply }) };
    this.operations.push([`${this.#id}.${action}.${event}`, operation]);
  }
}
