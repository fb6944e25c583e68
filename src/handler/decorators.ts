import "reflect-metadata";
import { EnfiladeError } from "../errors.js";
import type { IncomingEvent } from "../wire/events/incomingEvent.js";
import { checkNames } from "../wire/options.js";
import type { RouteParams } from "../wire/pattern.js";
import { type EventMethod, type EventOptions, eventOptionNames } from "./event.js";
import type { HandlerClass, RouteDeclaration, RouteOptions } from "./route.js";

const routesKey = Symbol.for("enfilade:routes");

/** What a route hands to its class: what its `params` schema returns, or else what the pattern yields. */
type Yielded<Pattern extends string, Parsed extends object> = object extends Parsed ? RouteParams<Pattern> : Parsed;

/**
 * Asks nothing more of a class whose declared parameters the route yields, and the impossible of any other.
 *
 * A class that declares no parameters of its own fits every route.
 */
export type Fitting<Pattern extends string, Declared extends object, Parsed extends object> =
  Readonly<Record<string, string | undefined>> extends Declared
    ? unknown
    : Yielded<Pattern, Parsed> extends Declared
      ? unknown
      : { readonly "this route yields": Yielded<Pattern, Parsed> };

/**
 * Gives a handler class a route; several may be stacked. Works with legacy and with standard decorators.
 *
 * ```ts
 * @Route("/chat/:channel", { name: "chat" })
 * class Chat extends WebSocketHandler<{ channel: string }> { … }
 * ```
 *
 * Without decorators, `static route = "/chat/:channel"` says the same. A subclass does not inherit a route.
 *
 * @throws EnfiladeError `ERR_NO_ROUTE` when what it stands on is no class.
 */
export function Route<const Pattern extends string, Parsed extends object = object>(
  pattern: Pattern,
  options: RouteOptions<Parsed> = {},
): <Declared extends object>(
  handlerClass: HandlerClass<Declared> & NoInfer<Fitting<Pattern, Declared, Parsed>>,
  context?: ClassDecoratorContext,
) => void {
  return (handlerClass, context) => {
    if (typeof handlerClass !== "function" || (context !== undefined && context.kind !== "class")) {
      throw new EnfiladeError("ERR_NO_ROUTE", `@Route("${pattern}") stands on a class that extends WebSocketHandler`);
    }
    const declared: RouteDeclaration = { ...options, pattern };
    // Decorators run from the innermost out: the topmost is the first that a reader sees.
    Reflect.defineMetadata(routesKey, [declared, ...decoratedRoutes(handlerClass)], handlerClass);
  };
}

/** The routes that decorators gave to this very class, the topmost first. */
export function decoratedRoutes(handlerClass: object): readonly RouteDeclaration[] {
  return Reflect.getOwnMetadata(routesKey, handlerClass) ?? [];
}

type StaticRoute = string | RouteDeclaration | readonly (string | RouteDeclaration)[];

/** The routes of this very class: a subclass inherits neither decorators nor `static route`. */
export function declaredRoutes(handlerClass: HandlerClass & { readonly route?: StaticRoute }): RouteDeclaration[] {
  if (typeof handlerClass !== "function") return [];
  const declared = Object.hasOwn(handlerClass, "route") ? (handlerClass.route ?? []) : [];
  const list: readonly (string | RouteDeclaration)[] = Array.isArray(declared) ? declared : [declared];
  const fromStatic = list.map((one) => (typeof one === "string" ? { pattern: one } : one));
  return [...decoratedRoutes(handlerClass), ...fromStatic];
}

const eventKey = Symbol.for("enfilade:event");

/** What a method is marked with. */
interface EventMark extends EventOptions {
  readonly event: string | undefined;
}

/** A method that takes the event's data, and if it likes the whole event. */
type EventTaker<Data> = (data: Data, incoming: IncomingEvent) => unknown;

/** A method decorator of either kind. */
interface EventDecorator<Data> {
  // What a legacy decorator is given.
  <Method extends EventTaker<Data>>(prototype: object, name: string, descriptor: TypedPropertyDescriptor<Method>): void;
  // What a standard decorator is given.
  <Method extends EventTaker<Data>>(method: Method, context: ClassMethodDecoratorContext): void;
}

/**
 * Has a method of an `EventHandler` answer an event; several may be stacked. Works with legacy and with standard decorators.
 *
 * @param event Default: the method's name, without a leading `on`: `onJoin` answers `join`.
 * @throws EnfiladeError `ERR_EVENTS` when it stands on something other than a method; `ERR_OPTION`.
 */
export function On(event?: string): EventDecorator<never>;
export function On(event: string | undefined, options: { readonly raw: true }): EventDecorator<string>;
export function On<Data>(event: string | undefined, options: EventOptions<Data>): EventDecorator<Data>;
export function On<Data>(event?: string, options: EventOptions<Data> = {}): EventDecorator<Data> {
  checkNames(event === undefined ? "@On()" : `@On("${event}")`, options, eventOptionNames);
  return (...args: readonly unknown[]) => {
    // Of a legacy decorator's arguments the third describes the method; of a standard one's the first is the method.
    const [first, , descriptor] = args;
    const method = descriptor === undefined ? first : (descriptor as PropertyDescriptor).value;
    if (typeof method !== "function")
      throw new EnfiladeError("ERR_EVENTS", "@On stands on a method of an EventHandler");
    const mark: EventMark = { ...options, event };
    Reflect.defineMetadata(eventKey, [mark, ...marksOf(method)], method);
  };
}

function marksOf(method: object): readonly EventMark[] {
  return Reflect.getOwnMetadata(eventKey, method) ?? [];
}

/** The marked methods of a class and its parents; a method that overrides a marked one answers for it. */
export function decoratedEvents(prototype: object): EventMethod[] {
  const marks = new Map<string, readonly EventMark[]>();
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      const own = typeof value === "function" ? marksOf(value) : [];
      if (own.length > 0 && !marks.has(name)) marks.set(name, own);
    }
  }
  return [...marks].flatMap(([method, list]) =>
    list.map((mark) => ({ ...mark, method, event: mark.event ?? eventName(method) })),
  );
}

function eventName(method: string): string {
  const [, first, rest] = /^on([A-Z])(.*)$/s.exec(method) ?? [];
  return first === undefined ? method : first.toLowerCase() + rest;
}
