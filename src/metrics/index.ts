/// <reference types="node" preserve="true" />
export type { PrometheusClient, PrometheusMetric, PrometheusRegistry } from "./client.js";
export { type Extensible, type MetricsEndpointOptions, type MetricsOptions, metrics } from "./metrics.js";
