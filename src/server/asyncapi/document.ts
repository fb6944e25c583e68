import { EnfiladeError } from "../../errors.js";
import { checkNames } from "../../wire/options.js";
import { infoOf, type Route, type RouteInfo } from "../router.js";
import { type AsyncAPIChannel, type AsyncAPIOperation, describeRoute } from "./channel.js";
import { ComponentSchemas, type JSONSchema } from "./componentSchemas.js";
import { type AsyncAPIMessage, errorMessage, errorSchema } from "./messages.js";
import { UniqueNames } from "./uniqueNames.js";

/** The info object of a document: its title and version, and other members of AsyncAPI 3. */
export interface AsyncAPIInfo {
  /** The name of the application. Default: `"Enfilade app"`. */
  readonly title?: string | undefined;
  /** The version of the application. Default: `"0.0.0"`. */
  readonly version?: string | undefined;
  /** Other members, such as `description`, `license` and `contact`. Default: none. */
  readonly [member: string]: unknown;
}

/** A server of a document. */
export interface AsyncAPIServer {
  /** The host, with its port unless it is that of the protocol: `example.com`. */
  readonly host: string;
  /** Such as `wss`. */
  readonly protocol: string;
  /** Other members of AsyncAPI 3, such as `description`. Default: none. */
  readonly [member: string]: unknown;
}

/** Options of `app.asyncapi()`. */
export interface AsyncAPIOptions {
  /** The title, the version and a description of the app. Default: a title and the version 0.0.0. */
  readonly info?: AsyncAPIInfo | undefined;
  /** The servers by name, such as `{ production: { host: "example.com", protocol: "wss" } }`. Default: none. */
  readonly servers?: Readonly<Record<string, AsyncAPIServer>> | undefined;
  /** Whether the document has a route, such as `({ pattern }) => !pattern.startsWith("/admin/")`. Default: all have. */
  readonly include?: ((route: RouteInfo) => boolean) | undefined;
}

/** A document of AsyncAPI 3.0, as JSON. */
export interface AsyncAPIDocument {
  /** The version of the specification. */
  readonly asyncapi: "3.0.0";
  /** The option `info`. */
  readonly info: AsyncAPIInfo & { readonly title: string; readonly version: string };
  /** The option `servers`. */
  readonly servers?: Readonly<Record<string, AsyncAPIServer>>;
  /** The format of messages. */
  readonly defaultContentType: "application/json";
  /** A channel for each route. */
  readonly channels: Readonly<Record<string, AsyncAPIChannel>>;
  /** An operation for each event of a contract. */
  readonly operations: Readonly<Record<string, AsyncAPIOperation>>;
  /** The schemas of the contracts, and the message that reports an error. */
  readonly components: {
    readonly messages: Readonly<Record<string, AsyncAPIMessage>>;
    readonly schemas: Readonly<Record<string, JSONSchema>>;
  };
}

/**
 * Describes routes and the contracts of their classes. Equal routes give equal documents.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown or has the wrong type.
 */
export function asyncAPIOf(routes: readonly Route[], options: AsyncAPIOptions): AsyncAPIDocument {
  checkOptions(options);
  const { info: { title = "Enfilade app", version = "0.0.0", ...more } = {}, servers, include = () => true } = options;
  const schemas = new ComponentSchemas();
  const included = routes.filter((route) => include(infoOf(route)));
  const { channels, operations } = describeRoutes(included, schemas);
  return {
    asyncapi: "3.0.0",
    info: { title, version, ...more },
    ...(servers !== undefined && { servers }),
    defaultContentType: "application/json",
    channels: Object.fromEntries(channels),
    operations: Object.fromEntries(operations),
    components: { messages: { error: errorMessage }, schemas: { error: errorSchema, ...schemas.all } },
  };
}

function describeRoutes(routes: readonly Route[], schemas: ComponentSchemas) {
  const channelNames = new UniqueNames();
  const operationNames = new UniqueNames();
  const channels = new Map<string, AsyncAPIChannel>();
  const operations = new Map<string, AsyncAPIOperation>();
  for (const route of routes) {
    const id = channelNames.unique(route.name ?? (route.pattern === "/" ? "root" : route.pattern));
    const described = describeRoute(route, id, schemas);
    channels.set(id, described.channel);
    for (const [wanted, operation] of described.operations) operations.set(operationNames.unique(wanted), operation);
  }
  return { channels, operations };
}

function checkOptions(options: AsyncAPIOptions): void {
  checkNames("asyncapi()", options, ["info", "servers", "include"]);
  const { info, servers, include } = options;
  if (info !== undefined) checkObject("info", info);
  if (servers !== undefined) checkObject("servers", servers);
  if (include === undefined || typeof include === "function") return;
  throw new EnfiladeError("ERR_OPTION", `include of asyncapi() takes a function, got ${typeof include}`);
}

function checkObject(name: string, value: unknown): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  const came = Array.isArray(value) ? "an array" : value === null ? "null" : typeof value;
  throw new EnfiladeError("ERR_OPTION", `${name} of asyncapi() takes an object, got ${came}`);
}
