import "reflect-metadata";
import { EnfiladeError } from "../errors.js";
import type { RouteParams } from "../wire/pattern.js";
import type { HandlerClass, RouteDeclaration, RouteOptions } from "./route.js";

const routesKey = Symbol.for("enfilade:routes");

/**
 * The parameters that a route hands to its class, where they fit what the class declares.
 *
 * With a `params` schema they are what the schema returns, else what the pattern yields.
 */
export type Fitting<Pattern extends string, Declared extends object, Parsed extends object> = (
  object extends Parsed
    ? RouteParams<Pattern>
    : Parsed
) extends Declared
  ? HandlerClass<Declared>
  : HandlerClass<object extends Parsed ? RouteParams<Pattern> : Parsed>;

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
  handlerClass: HandlerClass<Declared> & Fitting<Pattern, Declared, Parsed>,
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
