import { EnfiladeError } from "../../errors.js";
import { type EventSchemas, schemasOf } from "../../wire/contract/contract.js";
import { nearest } from "../../wire/options.js";
import type { Schema } from "../../wire/schema.js";
import type { EventMethod } from "../decorators.js";
import type { BoundContract } from "./boundContracts.js";
import { checkedStream, checkSent } from "./outgoing.js";

/** The part of a class that this file reads. */
export interface ContractedClass {
  readonly name: string;
  readonly prototype: object;
}

/** For an event without data in its contract: the method gets `undefined`, and what a client sent is discarded. */
const noData: Schema = {
  "~standard": { version: 1, vendor: "enfilade", validate: () => ({ value: undefined }) },
};

/**
 * The events that a contract receives, with their methods: marked ones, or by the name `onX`.
 *
 * @param marked The events from `@On` and `static events`.
 * @throws EnfiladeError `ERR_EVENTS` when an event has no method, or a marked event is not in the contract.
 */
export function contractEvents(
  handlerClass: ContractedClass,
  bound: BoundContract,
  marked: readonly EventMethod[],
): EventMethod[] {
  const receives = schemasOf(bound.contract.receives);
  for (const event of marked) checkMarked(handlerClass.name, receives, event);
  return [...receives].flatMap(([event, schemas]) => {
    const own = marked.filter((one) => one.event === event).map(({ method }) => method);
    const methods = own.length > 0 ? own : [methodOf(handlerClass, event)];
    return methods.map((method) => eventMethod(handlerClass.name, event, method, schemas, bound.checksOutgoing));
  });
}

/** The methods that are named like one for an event, but the contract receives no such event. */
export function methodsWithoutEvent(bound: BoundContract, names: readonly string[], answering: ReadonlySet<string>) {
  const events = [...schemasOf(bound.contract.receives).keys()];
  return names.flatMap((name) => {
    const [, first, rest] = /^on([A-Z])(.*)$/s.exec(name) ?? [];
    if (first === undefined || answering.has(name)) return [];
    const event = first.toLowerCase() + rest;
    const near = nearest(event, events);
    const hint = near === undefined ? "add it to receives, or rename the method" : `did you mean "${near}"?`;
    return [`has "${name}", but its contract receives no event "${event}"; ${hint}`];
  });
}

function eventMethod(
  name: string,
  event: string,
  method: string,
  schemas: EventSchemas,
  checksReply: boolean,
): EventMethod {
  const { data: schema = noData, items, reply } = schemas;
  const owner = `the reply of ${name} to the event "${event}"`;
  const checkEnd = (data: unknown) => checkSent(owner, reply, data);
  if (!checksReply) return { event, method, schema };
  if (items === undefined) return { event, method, schema, checkReply: checkEnd, checkStream: () => failStream(owner) };
  const checkItem = (item: unknown) => checkSent(`a value in ${owner}`, items, item);
  const checkStream = (values: AsyncIterable<unknown>) => checkedStream(values, checkItem, checkEnd);
  return { event, method, schema, checkReply: () => failReply(owner), checkStream };
}

function checkMarked(name: string, receives: ReadonlyMap<string, EventSchemas>, marked: EventMethod): void {
  const { event, method, schema, raw } = marked;
  if (!receives.has(event)) {
    const near = nearest(event, [...receives.keys()]);
    const hint = near === undefined ? "add it to receives, or remove the method" : `did you mean "${near}"?`;
    const problem = `${method} of ${name} answers the event "${event}", which its contract does not receive`;
    throw new EnfiladeError("ERR_EVENTS", `${problem}; ${hint}`);
  }
  if (schema === undefined && raw !== true) return;
  const option = schema === undefined ? "raw" : "schema";
  const owner = `the event "${event}" of ${name}`;
  throw new EnfiladeError("ERR_EVENTS", `${owner} has its schema in the contract; remove the option ${option}`);
}

/** The method `onX` of a class, for the event `x`. */
function methodOf({ name, prototype }: ContractedClass, event: string): string {
  const method = `on${event.slice(0, 1).toUpperCase()}${event.slice(1)}`;
  if (typeof Reflect.get(prototype, method) === "function") return method;
  const near = nearest(method, Object.getOwnPropertyNames(prototype), 2);
  const hint = near === undefined ? "" : ` It has ${near}; did you mean ${method}?`;
  const advice = `implement ${method}(data), or mark a method with @On("${event}")`;
  throw new EnfiladeError(
    "ERR_EVENTS",
    `${name} has no method for the event "${event}" of its contract; ${advice}.${hint}`,
  );
}

function failStream(owner: string): never {
  throw new EnfiladeError("ERR_CONTRACT", `${owner} is a stream, but its contract has no items; add items`);
}

function failReply(owner: string): never {
  throw new EnfiladeError("ERR_CONTRACT", `${owner} is no stream, but its contract has items; use an async generator`);
}
