import { nearest } from "../wire/options.js";
import { contractOf } from "./contract/boundContracts.js";
import { methodsWithoutEvent } from "./contract/contractEvents.js";
import { EventHandler } from "./events.js";
import { eventsOf } from "./eventTable.js";
import { WebSocketHandler } from "./handler.js";
import { hookNames, type Reader } from "./reader.js";

const hooks = ["onJSON", "onMessage", ...hookNames];
/** Names of these hooks in other libraries and in British English, in lower case. */
const aliases = new Map([
  ["auth", "authorize"],
  ["authorisejoin", "authorizeJoin"],
  ["authenticate", "authorize"],
  ["authorise", "authorize"],
  ["onauth", "authorize"],
  ["onauthorize", "authorize"],
  ["onopen", "onConnect"],
  ["onopened", "onConnect"],
  ["onconnected", "onConnect"],
  ["onconnection", "onConnect"],
  ["ondisconnect", "onClose"],
  ["ondisconnected", "onClose"],
  ["ondisconnection", "onClose"],
  ["onclosed", "onClose"],
  ["ontext", "onMessage"],
  ["ondata", "onMessage"],
]);
/** With 2, `onJoin` would look like `onJSON`. For `serve` only the case may differ: `server` is another word. */
const editsMax = 1;

/** Warnings about methods of a class that look like methods for the library to call, but are never called. */
export function unusedMethods(handlerClass: object, { method, ignored }: Reader): readonly string[] {
  const misspelled = misspelledHooks(handlerClass).map(({ name, hook }) => {
    return `has "${name}", which is never called; did you mean "${hook}"?`;
  });
  const warnings = [...misspelled, ...unansweredMethods(handlerClass)];
  if (ignored.length === 0) return warnings;
  const reads = isEventClass(handlerClass) ? "answers events" : `reads with ${method}`;
  return [...warnings, `${reads}; its ${ignored.join(" and ")} is never called`];
}

/** Methods of a class with a contract that are named like one for an event, but the contract has no such event. */
function unansweredMethods(handlerClass: object): readonly string[] {
  const bound = contractOf(handlerClass);
  if (bound === undefined) return [];
  const classes = classesOf(handlerClass);
  const text = sourceOf(classes);
  const answering = new Set([...eventsOf(handlerClass).values()].map(methodOf));
  const names = methodsOf(classes).filter((name) => hookLike(name) === undefined && !isNamed(name, text));
  return methodsWithoutEvent(bound, names, answering);
}

/**
 * Methods of a class that are named almost like a hook. The library never calls them, so a check in them has no effect.
 *
 * Ignores methods that answer an event, and methods whose name occurs in the source of the class.
 */
function misspelledHooks(handlerClass: object): { readonly name: string; readonly hook: string }[] {
  const classes = classesOf(handlerClass);
  const text = sourceOf(classes);
  const answering = new Set(isEventClass(handlerClass) ? [...eventsOf(handlerClass).values()].map(methodOf) : []);
  const misspelled = methodsOf(classes).flatMap((name) => {
    const hook = hookLike(name);
    const isCorrect = hook === undefined || hook === name || answering.has(name) || isNamed(name, text);
    return isCorrect ? [] : [{ name, hook }];
  });
  const isStatic = typeof Reflect.get(handlerClass, "authorize") === "function";
  return isStatic ? [...misspelled, { name: "static authorize", hook: "authorize" }] : misspelled;
}

function hookLike(name: string): string | undefined {
  const alias = aliases.get(name.toLowerCase()) ?? nearest(name, hooks, editsMax) ?? nearest(name, ["serve"], 0);
  // Finds swapped letters, which are two edits.
  return alias ?? hooks.find((hook) => lettersOf(hook) === lettersOf(name));
}

function lettersOf(name: string): string {
  return [...name.toLowerCase()].sort().join("");
}

/** The class and its parents, without those of the library. */
function classesOf(handlerClass: object): object[] {
  const classes: object[] = [];
  for (let at: object | null = handlerClass; at !== null; at = Object.getPrototypeOf(at)) {
    if (at === WebSocketHandler || at === EventHandler || at === Function.prototype) break;
    classes.push(at);
  }
  return classes;
}

function sourceOf(classes: readonly object[]): string {
  return classes.map((one) => Function.prototype.toString.call(one)).join("\n");
}

function methodsOf(classes: readonly object[]): string[] {
  const names = classes.flatMap((one) => {
    const described = Object.getOwnPropertyDescriptors(Reflect.get(one, "prototype") ?? {});
    return Object.entries(described).flatMap(([name, { value }]) => (typeof value === "function" ? [name] : []));
  });
  return [...new Set(names)].filter((name) => name !== "constructor");
}

function isEventClass(handlerClass: object): boolean {
  return Reflect.get(handlerClass, "prototype") instanceof EventHandler;
}

function methodOf({ method }: { readonly method: string }): string {
  return method;
}

/** Whether a text has the name after a dot or a quotation mark. */
function isNamed(name: string, text: string): boolean {
  return [".", '"', "'", "`"].some((before) => text.includes(before + name));
}
