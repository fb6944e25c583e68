import { addRoute, createRouter, findRoute, type RouterContext } from "rou3";
import type { RouteInfo } from "../server/router.js";
import { readPattern } from "../wire/pattern.js";

/** Finds the pattern of the route of a path. */
export class RouteFinder {
  readonly #routes: () => readonly RouteInfo[];
  #tree: RouterContext<string> = createRouter<string>();
  #count = 0;

  /** @param routes Returns the routes of the app. Routes may be added, and are never removed. */
  constructor(routes: () => readonly RouteInfo[]) {
    this.#routes = routes;
  }

  /** `undefined` if no route leads to this path. */
  find(path: string): string | undefined {
    const routes = this.#routes();
    for (const { pattern } of routes.slice(this.#count)) {
      readPattern(pattern, (decoded) => addRoute(this.#tree, "", decoded, pattern));
    }
    this.#count = routes.length;
    return findRoute(this.#tree, "", path)?.data;
  }
}
