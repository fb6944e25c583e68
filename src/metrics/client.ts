import { describeValue, EnfiladeError } from "../errors.js";

/** The part of a metric that a registry needs, as `@prometheus-io/client` and `prom-client` have it. */
export interface PrometheusMetric {
  /** The metric with the values of all its series. */
  get(): Promise<object>;
  /** Called by `registry.resetMetrics()`. */
  reset(): void;
}

/** The part of the registry of a Prometheus client that is used. */
export interface PrometheusRegistry {
  /** The content type of the text. */
  readonly contentType: string;
  /** Resolves with all metrics as text. */
  metrics(): Promise<string>;
  /** Adds a metric. */
  registerMetric(metric: PrometheusMetric): void;
  /** The metric with this name; `undefined` if there is none. */
  getSingleMetric(name: string): unknown;
  /** Removes the metric with this name. */
  removeSingleMetric(name: string): void;
}

/** The part of the Prometheus client that is used: the module `@prometheus-io/client` or `prom-client`. */
export interface PrometheusClient {
  /** The default registry. */
  readonly register: PrometheusRegistry;
}

const methods = ["metrics", "registerMetric", "getSingleMetric", "removeSingleMetric"] as const;

/**
 * The default registry of a Prometheus client.
 *
 * @throws EnfiladeError `ERR_OPTION` when it is not the module of a Prometheus client.
 */
export function registryOfClient(client: PrometheusClient | undefined): PrometheusRegistry {
  // In JavaScript it may be anything.
  const registry: unknown = client?.register;
  if (isRegistry(registry)) return registry;
  const expected = 'the module, as of import client from "@prometheus-io/client" or "prom-client"';
  throw new EnfiladeError("ERR_OPTION", `client of metrics() takes ${expected}; got ${describeValue(client)}`);
}

/** @throws EnfiladeError `ERR_OPTION` when it is not the registry of a Prometheus client. */
export function checkedRegistry(registry: PrometheusRegistry): PrometheusRegistry {
  if (isRegistry(registry)) return registry;
  const expected = "a registry of the client, such as new client.Registry()";
  throw new EnfiladeError("ERR_OPTION", `registry of metrics() takes ${expected}; got ${describeValue(registry)}`);
}

function isRegistry(given: unknown): given is PrometheusRegistry {
  return (
    typeof given === "object" &&
    given !== null &&
    methods.every((name) => typeof Reflect.get(given, name) === "function")
  );
}
