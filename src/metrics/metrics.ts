import type { ConnectionRequest } from "../connection/request.js";
import { describeValue, EnfiladeError, HttpError } from "../errors.js";
import type { Extension } from "../server/extensions/extension.js";
import { extensionPath } from "../server/extensions/extensionPath.js";
import { checkNames } from "../wire/options.js";
import { checkedRegistry, type PrometheusClient, type PrometheusRegistry, registryOfClient } from "./client.js";
import { metricSetOf } from "./metricSet.js";

/** Options of {@link metrics}. */
export interface MetricsOptions {
  /** The module `@prometheus-io/client`, or `prom-client`. Its default registry gets the metrics. */
  readonly client: PrometheusClient;
  /** The registry that gets the metrics. Default: the default registry of `client`. */
  readonly registry?: PrometheusRegistry | undefined;
  /** What all names begin with: letters, digits, `_` and `:`, and no digit first. Default: `"enfilade_"`. */
  readonly prefix?: string | undefined;
  /**
   * The label `app` of all metrics of this app, such as `"chat"`; needed if several apps share a registry. Default: no
   * such label.
   */
  readonly name?: string | undefined;
}

/** Options of {@link metrics} as an extension, which answers scrapes. */
export interface MetricsEndpointOptions extends MetricsOptions {
  /** The path of the metrics. Default: `"/metrics"`. */
  readonly path?: string | undefined;
  /**
   * Decides who may read the metrics. A falsy result is refused with 401, and a thrown `HttpError` is the answer; any
   * other error is reported, and answered with 500. Default: everyone, so the path must not be public.
   */
  readonly authorize?: ((request: ConnectionRequest) => unknown) | undefined;
}

/** The part of an app that {@link metrics} needs. */
export interface Extensible {
  /** See `app.use()`. */
  use(extension: Extension): unknown;
}

const optionNames = ["client", "registry", "prefix", "name"];
const endpointNames = [...optionNames, "path", "authorize"];
const prefixPattern = /^[a-zA-Z_:][\w:]*$/;

/**
 * Metrics of an app for Prometheus, in the registry of the Prometheus client that the application uses. Returns an
 * extension for `app.use()` that answers `GET` and `HEAD` with the text of the registry.
 *
 * With an app as the first argument, it only adds the metrics to the registry, for an application that has an endpoint.
 *
 * When the app begins to close, its metrics leave the registry. The guide "Metrics" has the names of all of them.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is invalid, and from `use()` when the
 *   registry has metrics of these names already; `ERR_PATH` when `path` is not a path.
 * @example
 * ```ts
 * import client from "prom-client";
 * import { App } from "enfilade";
 * import { metrics } from "enfilade/metrics";
 *
 * const app = new App().use(metrics({ client, authorize: ({ token }) => token === "secret" }));
 *
 * // Or, for an endpoint of your own: metrics(app, { client });
 * ```
 */
export function metrics(options: MetricsEndpointOptions): Extension;
export function metrics(app: Extensible, options: MetricsOptions): void;
export function metrics(first: MetricsEndpointOptions | Extensible, options?: MetricsOptions): Extension | undefined {
  if (typeof first !== "object" || first === null || !("use" in first)) return endpoint(first);
  // Without options, checkNames() reports the mistake.
  const given = options as MetricsOptions;
  checkNames("metrics(app)", given, optionNames);
  first.use(collector(given));
  return undefined;
}

function endpoint(options: MetricsEndpointOptions): Extension {
  checkNames("metrics()", options, endpointNames);
  const { path = "/metrics", authorize } = options;
  if (authorize !== undefined && typeof authorize !== "function") {
    // The error does not repeat it: it may be a secret.
    throw new EnfiladeError("ERR_OPTION", `authorize of metrics() takes a function, got ${typeof authorize}`);
  }
  const registry = registryOf(options);
  const own = extensionPath("metrics()", path);
  return {
    ...collector(options),
    path,
    async onRequest(request) {
      if (request.path !== own) throw new HttpError(404);
      const { method } = request.raw ?? {};
      const isAllowed = authorize === undefined || (await authorize(request));
      if (!isAllowed) throw new HttpError(401, "", { headers: { "www-authenticate": "Bearer" } });
      if (method !== "GET" && method !== "HEAD") throw new HttpError(405, "", { headers: { allow: "GET, HEAD" } });
      const headers = { "content-type": registry.contentType, "cache-control": "no-store" };
      return new Response(await registry.metrics(), { headers });
    },
  };
}

/** The extension without an endpoint: adds the metrics of its app to the registry, until the app closes. */
function collector(options: MetricsOptions): Extension {
  const { prefix = "enfilade_", name } = options;
  const registry = registryOf(options);
  if (typeof prefix !== "string" || !prefixPattern.test(prefix)) {
    throw new EnfiladeError(
      "ERR_OPTION",
      `prefix of metrics() takes a text such as "chat_", got ${describeValue(prefix)}`,
    );
  }
  if (name !== undefined && typeof name !== "string") {
    throw new EnfiladeError("ERR_OPTION", `name of metrics() takes a string, got ${describeValue(name)}`);
  }
  const set = metricSetOf(registry, prefix);
  let isInstalled = false;
  return {
    name: "metrics",
    install(app) {
      set.add(name, app);
      isInstalled = true;
    },
    onClose() {
      if (isInstalled) set.remove(name);
      isInstalled = false;
    },
  };
}

function registryOf({ client, registry }: MetricsOptions): PrometheusRegistry {
  return registry === undefined ? registryOfClient(client) : checkedRegistry(registry);
}
