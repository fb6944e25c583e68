import { EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";
import { checkSchema } from "../wire/schema.js";
import { decoratedEvents } from "./decorators.js";
import { type EventDeclaration, type EventMethod, eventOptionNames } from "./event.js";
import type { AnyHandler } from "./handler.js";

const declarationNames = ["method", ...eventOptionNames];
const tables = new WeakMap<object, ReadonlyMap<string, EventMethod>>();

/**
 * The events of a class by name: those of its decorators, its parents', and `static events`.
 *
 * @throws EnfiladeError `ERR_EVENTS` when there is none, or one that no method or more than one would answer.
 */
export function eventsOf(handlerClass: object): ReadonlyMap<string, EventMethod> {
  const known = tables.get(handlerClass);
  if (known !== undefined) return known;
  // It was checked to extend EventHandler, whose static fields may be anything.
  const eventClass = handlerClass as EventClass;
  const { name, prototype } = eventClass;
  const table = new Map<string, EventMethod>();
  for (const one of [...decoratedEvents(prototype), ...declaredEvents(eventClass)])
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

interface EventClass {
  readonly name: string;
  readonly prototype: AnyHandler;
  readonly events?: Readonly<Record<string, EventDeclaration>>;
}

function declaredEvents(handlerClass: EventClass): EventMethod[] {
  if (Array.isArray(handlerClass.events)) {
    throw new EnfiladeError("ERR_EVENTS", 'static events is an object, such as { join: "onJoin" }, and no list');
  }
  return Object.entries(handlerClass.events ?? {}).map(([event, declared]) => {
    if (typeof declared === "string") return { event, method: declared };
    const what = `the event "${event}" of ${handlerClass.name}`;
    if (typeof declared !== "object" || declared === null) {
      throw new EnfiladeError("ERR_EVENTS", `${what} takes the name of a method or { method, schema?, raw? }`);
    }
    checkNames(what, declared, declarationNames);
    return { ...declared, event };
  });
}
