import { unusedMethods } from "../../handler/hooks.js";
import type { HandlerClass } from "../../handler/route.js";
import type { Logger } from "../options.js";
import { emptyHistoryWarning } from "../roomConfig.js";
import type { Route } from "../router.js";

/** Warns of mistakes in a route and its class when the route is added; of each class once. */
export class RouteWarnings {
  readonly #logger: Logger;
  readonly #checkedClasses = new WeakSet<HandlerClass>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  check(route: Route): void {
    const { handlerClass, reader } = route;
    const warning = emptyHistoryWarning(route);
    if (warning !== undefined) this.#logger.warn(warning);
    if (this.#checkedClasses.has(handlerClass)) return;
    this.#checkedClasses.add(handlerClass);
    for (const hint of unusedMethods(handlerClass, reader)) this.#logger.warn(`enfilade: ${handlerClass.name} ${hint}`);
  }
}
