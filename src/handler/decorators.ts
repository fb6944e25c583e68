import "reflect-metadata";
import { EnfiladeError } from "../errors.js";
import type { IncomingEvent } from "../wire/events/incomingEvent.js";
import { checkNames } from "../wire/options.js";
import type { RouteParams } from "../wire/pattern.js";
import type { Schema } from "../wire/schema.js";
import type { HandlerClass, RouteDeclaration, RouteOptions } from "./route.js";

const routesKey = Symbol.for("enfilade:routes");

/** The parameters that a route passes to its class: from its `params` schema, or else from the pattern. */
type ParamsOfRoute<Pattern extends string, Parsed extends object> = object extends Parsed
  ? RouteParams<Pattern>
  : Parsed;

/**
 * `unknown` if the route provides the parameters that a class declares; else a property that no class has, so that
 * registration does not compile. A class that declares no parameters fits every route.
 */
export type Fitting<Pattern extends string, Declared extends object, Parsed extends object> =
  Readonly<Record<string, string | undefined>> extends Declared
    ? unknown
    : ParamsOfRoute<Pattern, Parsed> extends Declared
      ? unknown
      : { readonly "this route yields": ParamsOfRoute<Pattern, Parsed> };

/**
 * Class decorator: adds a route to a handler class, which can have several. Works with legacy and standard decorators.
 *
 * Without decorators, write `static route = "/chat/:channel"`. A subclass does not inherit a route.
 *
 * @param pattern Such as `/chat/:channel`; `:name(\\d+)`, `:name?`, `:name+` and `**` are allowed too.
 * @throws EnfiladeError `ERR_NO_ROUTE` when it decorates anything but a class.
 * @example
 * ```ts
 * import { App, Route, WebSocketHandler } from "enfilade";
 *
 * @Route("/chat/:channel", { name: "chat", history: { size: 100 }, replay: 10 })
 * class Chat extends WebSocketHandler<{ channel: string }> {
 *   onJSON(message: unknown) {
 *     this.sendJSONToThisRoom({ channel: this.params.channel, message });
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * console.log(app.url("chat", { channel: "general" })); // "/chat/general"
 * await app.close();
 * ```
 */
export function Route<const Pattern extends string, Parsed extends object = object>(
  pattern: Pattern,
  options: RouteOptions<Parsed> = {},
): <Declared extends object>(
  handlerClass: HandlerClass<Declared> & NoInfer<Fitting<Pattern, Declared, Parsed>>,
  context?: ClassDecoratorContext,
) => void {
  if (typeof pattern === "function") {
    throw new EnfiladeError("ERR_NO_ROUTE", `@Route takes a path; write @Route("/chat/:channel") above the class`);
  }
  return (handlerClass, context) => {
    if (typeof handlerClass !== "function" || (context !== undefined && context.kind !== "class")) {
      const came: string = context?.kind ?? typeof handlerClass;
      throw new EnfiladeError(
        "ERR_NO_ROUTE",
        `@Route("${pattern}") takes a class that extends WebSocketHandler, got ${came}; put it above the class`,
      );
    }
    const declared: RouteDeclaration = { ...options, pattern };
    // Decorators run from the bottom up; routes are listed in reading order, from the top down.
    Reflect.defineMetadata(routesKey, [declared, ...decoratedRoutes(handlerClass)], handlerClass);
  };
}

/** The routes that decorators added to this class itself, in reading order. */
export function decoratedRoutes(handlerClass: object): readonly RouteDeclaration[] {
  return Reflect.getOwnMetadata(routesKey, handlerClass) ?? [];
}

type StaticRoute = string | RouteDeclaration | readonly (string | RouteDeclaration)[];

/** The routes of this class itself: a subclass inherits neither decorators nor `static route`. */
export function declaredRoutes(handlerClass: HandlerClass & { readonly route?: StaticRoute }): RouteDeclaration[] {
  if (typeof handlerClass !== "function") return [];
  const declared = Object.hasOwn(handlerClass, "route") ? (handlerClass.route ?? []) : [];
  const list: readonly (string | RouteDeclaration)[] = Array.isArray(declared) ? declared : [declared];
  const fromStatic = list.map((one) => (typeof one === "string" ? { pattern: one } : one));
  return [...decoratedRoutes(handlerClass), ...fromStatic];
}

/** Options of one event of an `EventHandler`. */
export interface EventOptions<Data = unknown> {
  /**
   * Checks the data of the event; the method gets the output of the schema. Any Standard Schema, such as zod. Data that
   * does not fit is answered with `bad_data`. Default: no check.
   */
  readonly schema?: Schema<Data> | undefined;
  /** Whether the method gets the data as JSON text, not parsed. Not together with `schema`. Default: `false`. */
  readonly raw?: boolean | undefined;
}

export const eventOptionNames: readonly string[] = ["schema", "raw"];

/** An entry of `static events`: the name of the method that answers the event, or the name with options. */
export type EventDeclaration = string | (EventOptions & { readonly method: string });

/** An event, the method that answers it, and its options. */
export interface EventMethod extends EventOptions {
  readonly event: string;
  readonly method: string;
  /** Throws, or returns a promise that rejects, when the reply does not fit the contract of the class. */
  readonly checkReply?: ((reply: unknown) => unknown) | undefined;
  /** Checks a stream that the method returns: the same values, each checked. */
  readonly checkStream?: ((values: AsyncIterable<unknown>) => AsyncIterable<unknown>) | undefined;
}

const eventKey = Symbol.for("enfilade:event");

/** The metadata that `@On` attaches to a method. */
interface EventMark extends EventOptions {
  readonly event: string | undefined;
}

/** A method that takes the event's data and, optionally, the whole event. */
type AnsweringMethod<Data> = (data: Data, incoming: IncomingEvent) => unknown;

/** A method decorator, legacy or standard. */
interface EventDecorator<Data> {
  // The arguments of a legacy decorator.
  <Method extends AnsweringMethod<Data>>(
    prototype: object,
    name: string,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void;
  // The arguments of a standard decorator.
  <Method extends AnsweringMethod<Data>>(method: Method, context: ClassMethodDecoratorContext): void;
}

/**
 * Method decorator: the method of an `EventHandler` answers this event; a method can answer several events. Works with
 * legacy and standard decorators.
 *
 * @param event Default: the method's name without a leading `on`: `onJoin` answers `join`.
 * @throws EnfiladeError `ERR_EVENTS` when it decorates anything but a method, `ERR_OPTION` for an unknown option.
 * @example
 * ```ts
 * import { App, EventHandler, On, Route } from "enfilade";
 * import { connect } from "enfilade/testing";
 * import { z } from "zod";
 *
 * const Join = z.object({ name: z.string() });
 *
 * @Route("/chat/:channel")
 * class Chat extends EventHandler {
 *   @On("join", { schema: Join })
 *   onJoin({ name }: z.infer<typeof Join>) {
 *     return { welcome: name, members: this.room.size }; // the reply, if the client sent an id
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * const ann = await connect(app, "/chat/general");
 * ann.sendJSON({ event: "join", id: 1, data: { name: "Ann" } });
 * console.log(await ann.readJSON()); // { id: 1, data: { welcome: "Ann", members: 1 } }
 * await app.close();
 * ```
 */
export function On(event?: string): EventDecorator<never>;
export function On(event: string | undefined, options: { readonly raw: true }): EventDecorator<string>;
export function On<Data>(event: string | undefined, options: EventOptions<Data>): EventDecorator<Data>;
export function On<Data>(event?: string, options: EventOptions<Data> = {}): EventDecorator<Data> {
  if (event !== undefined && typeof event !== "string") {
    throw new EnfiladeError("ERR_EVENTS", '@On needs parentheses: write @On() or @On("name") above a method');
  }
  const decorator = event === undefined ? "@On()" : `@On("${event}")`;
  if ("~standard" in options) {
    throw new EnfiladeError("ERR_OPTION", `${decorator} takes options, got a schema; pass { schema }`);
  }
  checkNames(decorator, options, eventOptionNames);
  return (...args: readonly unknown[]) => {
    const method = decoratedMethod(decorator, args);
    const mark: EventMark = { ...options, event };
    Reflect.defineMetadata(eventKey, [mark, ...marksOf(method)], method);
  };
}

/**
 * The method that a decorator is on.
 *
 * @param args Of a standard decorator, the method and its context; of a legacy one, the prototype, the name and the
 *   property descriptor.
 * @throws EnfiladeError `ERR_EVENTS` when it is not on a method of instances.
 */
function decoratedMethod(decorator: string, args: readonly unknown[]): object {
  const [target, second, descriptor] = args;
  // The two kinds of decorators differ in the type of the second argument.
  const context = typeof second === "object" ? (second as DecoratorContext) : undefined;
  const method = descriptor === undefined ? target : (descriptor as PropertyDescriptor).value;
  const isClass = context === undefined ? args.length === 1 : context.kind === "class";
  const isStatic = context === undefined ? typeof target === "function" : context.kind !== "class" && context.static;
  if (typeof method === "function" && !isClass && !isStatic) return method;
  const name = String(context?.name ?? second ?? (typeof target === "function" ? target.name : ""));
  const came = isClass
    ? `the class ${name}`
    : isStatic
      ? `the static ${name}`
      : `the ${context?.kind ?? "field"} ${name}`;
  throw new EnfiladeError("ERR_EVENTS", `${decorator} takes a method of an EventHandler, got ${came}`);
}

function marksOf(method: object): readonly EventMark[] {
  return Reflect.getOwnMetadata(eventKey, method) ?? [];
}

/** The methods with `@On` of a class and its parents. A method that overrides one of them answers its event. */
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
