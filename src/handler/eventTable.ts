import { EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";
import { checkSchema } from "../wire/schema.js";
import { contractOf } from "./contract/boundContracts.js";
import { contractEvents } from "./contract/contractEvents.js";
import { decoratedEvents, type EventDeclaration, type EventMethod, eventOptionNames } from "./decorators.js";
import type { AnyHandler } from "./handler.js";
import { hookNames } from "./reader.js";

const declarationNames = ["method", ...eventOptionNames];
const tables = new WeakMap<object, ReadonlyMap<string, EventMethod>>();

/**
 * The events of a class by name: from its contract, from `@On` of the class and its parents, and from `static events`.
 *
 * @throws EnfiladeError `ERR_EVENTS` when there are none and no contract, or when an event has no method or several.
 */
export function eventsOf(handlerClass: object): ReadonlyMap<string, EventMethod> {
  const known = tables.get(handlerClass);
  if (known !== undefined) return known;
  // The caller checked that it extends EventHandler.
  const eventClass = handlerClass as EventClass;
  const { name, prototype } = eventClass;
  const table = new Map<string, EventMethod>();
  const marked = [...decoratedEvents(prototype), ...declaredEvents(eventClass)];
  const bound = contractOf(handlerClass);
  for (const event of bound === undefined ? marked : contractEvents(eventClass, bound, marked)) {
    addEvent(table, event, name, prototype);
  }
  if (table.size === 0 && bound === undefined) {
    throw new EnfiladeError("ERR_EVENTS", `${name} answers no event: add @On() to a method, or declare static events`);
  }
  tables.set(handlerClass, table);
  return table;
}

function addEvent(table: Map<string, EventMethod>, added: EventMethod, name: string, prototype: AnyHandler): void {
  const { event, method, schema, raw } = added;
  const other = table.get(event);
  const owner = `the event "${event}" of ${name}`;
  const errorOf = (problem: string) => new EnfiladeError("ERR_EVENTS", `${owner} ${problem}`);
  const called: unknown = Reflect.get(prototype, method);
  if (typeof called !== "function") {
    throw errorOf(`names the method "${method}", which ${name} does not have`);
  }
  // Its result is an iterator, which is an empty object as JSON.
  if (Object.prototype.toString.call(called) === "[object GeneratorFunction]") {
    throw errorOf(`is answered by a generator that is not async; write: async *${method}`);
  }
  if (hookNames.includes(method)) {
    throw errorOf(`is answered by "${method}", a hook that the library calls; rename the method`);
  }
  if (other !== undefined && other.method !== method) {
    throw errorOf(`has two methods, ${other.method} and ${method}; keep one`);
  }
  if (schema !== undefined) checkSchema(schema, owner);
  if (schema !== undefined && raw === true) throw errorOf("has both schema and raw: true; remove one");
  table.set(event, added);
}

interface EventClass {
  readonly name: string;
  readonly prototype: AnyHandler;
  readonly events?: Readonly<Record<string, EventDeclaration>>;
}

function declaredEvents(handlerClass: EventClass): EventMethod[] {
  if (Array.isArray(handlerClass.events)) {
    throw new EnfiladeError("ERR_EVENTS", 'static events takes an object such as { join: "onJoin" }, got an array');
  }
  return Object.entries(handlerClass.events ?? {}).map(([event, declared]) => {
    if (typeof declared === "string") return { event, method: declared };
    const owner = `the event "${event}" of ${handlerClass.name}`;
    if (typeof declared !== "object" || declared === null) {
      throw new EnfiladeError("ERR_EVENTS", `${owner} takes the name of a method or { method, schema?, raw? }`);
    }
    checkNames(owner, declared, declarationNames);
    return { ...declared, event };
  });
}
