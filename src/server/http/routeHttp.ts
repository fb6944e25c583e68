import { describeValue, EnfiladeError } from "../../errors.js";
import type { HttpOptions, RouteOptions } from "../../handler/route.js";
import { checkNames } from "../../wire/options.js";

/** The uses of the rooms of a route over plain HTTP. At least one is `true`. */
export interface RouteHttp {
  /** `GET` as an event stream. */
  readonly events: boolean;
  /** `GET` as JSON. */
  readonly history: boolean;
  /** `POST`. */
  readonly publish: boolean;
}

const names = ["events", "history", "publish"] as const;

/**
 * The uses of a route's rooms over plain HTTP; `undefined` if there are none. `true` stands for all that the route has.
 *
 * @throws EnfiladeError `ERR_OPTION` when the option is invalid, or asks for a history that the route does not have.
 */
export function routeHttp({ http = false, history, presence = "off" }: RouteOptions): RouteHttp | undefined {
  const mode = typeof presence === "string" ? presence : presence.mode;
  const hasContent = history !== undefined || mode !== "off";
  if (http === true) return { events: true, history: hasContent, publish: true };
  if (http === false) return undefined;
  checkUses(http);
  if (http.history && !hasContent) {
    const advice = "give it history: { size: 100 } or presence";
    throw new EnfiladeError("ERR_OPTION", `http.history needs a route with history or presence; ${advice}`);
  }
  if (Object.keys(http).length === 0)
    throw new EnfiladeError("ERR_OPTION", `http has to name one of ${names.join(", ")}`);
  const { events = false, history: isReadable = false, publish = false } = http;
  return events || isReadable || publish ? { events, history: isReadable, publish } : undefined;
}

function checkUses(http: HttpOptions): void {
  if (typeof http !== "object" || http === null || Array.isArray(http)) {
    throw new EnfiladeError(
      "ERR_OPTION",
      `http takes true, false or { ${names.join(", ")} }, got ${describeValue(http)}`,
    );
  }
  checkNames("http", http, names);
  for (const name of names) {
    const value: unknown = http[name];
    if (value === undefined || typeof value === "boolean") continue;
    throw new EnfiladeError("ERR_OPTION", `http.${name} takes a boolean, got ${describeValue(value)}`);
  }
}
