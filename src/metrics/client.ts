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

/** @throws EnfiladeError `ERR_OPTION` when it is not the registry of a Prometheus client. */
export function checkRegistry(registry: PrometheusRegistry | undefined): PrometheusRegistry {
  // In JavaScript it may be anything.
  const given: Partial<PrometheusRegistry> | null | undefined = registry;
  if (given && methods.every((method) => typeof given[method] === "function")) return given as PrometheusRegistry;
  const expected = "client: the module @prometheus-io/client or prom-client, or a registry of it as registry";
  throw new EnfiladeError("ERR_OPTION", `metrics() takes ${expected}; the registry is ${describeValue(given)}`);
}
