import { EnfiladeError } from "../../errors.js";
import { checkNames } from "../options.js";
import { checkSchema, type Schema } from "../schema.js";

/** An event of a contract with its reply: `{ data?, items?, reply?, summary? }`. */
export interface EventSchemas {
  /** The schema of the data. Default: the event has no data. */
  readonly data?: Schema | undefined;
  /** The schema of each value, for an event that clients send and that is answered with a stream. Default: none. */
  readonly items?: Schema | undefined;
  /** The schema of the reply. Default: the event has no reply. */
  readonly reply?: Schema | undefined;
  /** One line about the event, for documents such as that of `app.asyncapi()`. Default: none. */
  readonly summary?: string | undefined;
}

/** The events of one direction, by name: each is the schema of its data, or {@link EventSchemas}. */
export interface ContractEvents {
  readonly [event: string]: Schema | EventSchemas;
}

/** No events: the default of each direction of a contract. */
export type NoEvents = Readonly<Record<never, Schema>>;

/** The events between the clients and the handler of a room; see {@link contract}. */
export interface Contract<
  Receives extends ContractEvents = ContractEvents,
  Sends extends ContractEvents = ContractEvents,
> {
  /** The events that clients send. */
  readonly receives: Receives;
  /** The events that the server sends; those with a reply are requests to a client. */
  readonly sends: Sends;
}

/**
 * A contract: the events that a handler receives and sends, with a schema for each. Any Standard Schema, such as zod.
 *
 * `EventHandler.of(contract)` checks and types the server, and `connect<typeof contract>(url)` types the client.
 * `enfilade/contract` exports the same function without the server, for a file that a page imports, too.
 *
 * @throws EnfiladeError `ERR_OPTION` when an event is not a schema and not `{ data, items, reply, summary }`.
 * @example
 * ```ts
 * import { App, contract, type DataOf, EventHandler } from "enfilade";
 * import { connect } from "enfilade/testing";
 * import { z } from "zod";
 *
 * const chat = contract({
 *   receives: { join: { data: z.object({ name: z.string() }), reply: z.object({ size: z.number() }) } },
 *   sends: { joined: z.object({ name: z.string() }) },
 * });
 *
 * class Chat extends EventHandler.of(chat) {
 *   onJoin({ name }: DataOf<typeof chat, "join">) {
 *     this.emitToThisRoom("joined", { name });
 *     return { size: this.room.size };
 *   }
 * }
 *
 * const app = new App().route("/chat/:channel", Chat);
 * const ann = await connect(app, "/chat/general");
 * ann.sendJSON({ event: "join", id: 1, data: { name: "Ann" } });
 * console.log(await ann.readJSON()); // { event: "joined", data: { name: "Ann" } }
 * console.log(await ann.readJSON()); // { id: 1, data: { size: 1 } }
 * await app.close();
 * ```
 */
export function contract<
  const Receives extends ContractEvents = NoEvents,
  const Sends extends ContractEvents = NoEvents,
>(events: { readonly receives?: Receives | undefined; readonly sends?: Sends | undefined }): Contract<Receives, Sends> {
  checkNames("contract()", events, ["receives", "sends"]);
  const { receives = {}, sends = {} } = events;
  checkDirections({ receives, sends });
  // Without a value, the type of a direction is its default: no events.
  return Object.freeze({ receives: receives as Receives, sends: sends as Sends });
}

/**
 * Checks a contract, which may be made by another copy of the package.
 *
 * @param owner Takes the contract, as the error names it.
 * @throws EnfiladeError `ERR_OPTION` when `value` is not a contract.
 */
export function checkContract(owner: string, value: unknown): void {
  if (typeof value === "object" && value !== null && "receives" in value && "sends" in value) {
    checkDirections(value);
    return;
  }
  throw new EnfiladeError("ERR_OPTION", `${owner} takes a contract, got ${typeof value}; make one with contract()`);
}

function checkDirections({ receives, sends }: { readonly receives: unknown; readonly sends: unknown }): void {
  checkEvents("receives", receives);
  checkEvents("sends", sends);
}

/** The events of one direction of a contract by name, each in its long form. */
export function schemasOf(events: ContractEvents): ReadonlyMap<string, EventSchemas> {
  return new Map(Object.entries(events).map(([name, event]) => [name, isSchema(event) ? { data: event } : event]));
}

function checkEvents(direction: string, events: unknown): void {
  if (typeof events !== "object" || events === null || Array.isArray(events)) {
    const came = Array.isArray(events) ? "an array" : events === null ? "null" : typeof events;
    throw new EnfiladeError("ERR_OPTION", `${direction} of a contract takes an object of events, got ${came}`);
  }
  for (const [name, event] of Object.entries(events))
    checkEvent(direction, `the event "${name}" in ${direction}`, event);
}

function checkEvent(direction: string, owner: string, event: unknown): void {
  if (isSchema(event)) return;
  if (typeof event !== "object" || event === null) {
    const came = event === null ? "null" : typeof event;
    throw new EnfiladeError("ERR_OPTION", `${owner} takes a schema or { data, items, reply, summary }, got ${came}`);
  }
  checkNames(owner, event, ["data", "items", "reply", "summary"]);
  const { data, items, reply, summary }: Partial<Record<keyof EventSchemas, unknown>> = event;
  if (data !== undefined) checkSchema(data, `data of ${owner}`);
  if (items !== undefined) checkSchema(items, `items of ${owner}`);
  if (reply !== undefined) checkSchema(reply, `reply of ${owner}`);
  if (items !== undefined && direction === "sends") {
    throw new EnfiladeError("ERR_OPTION", `items of ${owner}: only an event in receives is answered with a stream`);
  }
  if (summary !== undefined && typeof summary !== "string") {
    throw new EnfiladeError("ERR_OPTION", `summary of ${owner} takes a string, got ${typeof summary}`);
  }
}

/** The schemas of some libraries, such as arktype, are functions. */
function isSchema(event: unknown): event is Schema {
  return (typeof event === "object" || typeof event === "function") && event !== null && "~standard" in event;
}
