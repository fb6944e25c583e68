import { EnfiladeError } from "../errors.js";
import type { Application } from "../handler/application.js";
import { AppMetrics } from "./appMetrics.js";
import type { PrometheusMetric, PrometheusRegistry } from "./client.js";
import { type Definition, definitions } from "./definitions.js";
import type { Sample } from "./sample.js";

/** The apps of a registry with one prefix, by the value of their label `app`; `undefined` for an app without one. */
type Apps = ReadonlyMap<string | undefined, AppMetrics>;

/** One metric as its registry sees it. Its values are read when they are asked for. */
class Metric implements PrometheusMetric {
  readonly help: string;
  readonly type: Definition["type"];
  readonly aggregator: string;
  readonly #definition: Definition;
  readonly #apps: Apps;

  /** @param name Not readonly: for OpenMetrics, a registry removes `_total`. */
  constructor(
    public name: string,
    definition: Definition,
    apps: Apps,
  ) {
    this.help = definition.help;
    this.type = definition.type;
    this.aggregator = definition.aggregator ?? "sum";
    this.#definition = definition;
    this.#apps = apps;
  }

  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: [...this.#apps].flatMap((entry) => this.#valuesOf(entry)) };
  }

  /** Does nothing: the numbers are those of the app. */
  reset(): void {
    // A method that a registry calls.
  }

  #valuesOf([app, metrics]: [string | undefined, AppMetrics]): object[] {
    return this.#definition.read(metrics).map(({ labels, value, suffix }: Sample) => ({
      labels: app === undefined ? labels : { app, ...labels },
      value,
      ...(suffix !== undefined && { metricName: `${this.name}${suffix}` }),
    }));
  }
}

/** The metrics with one prefix in one registry, of all apps that share them. */
class MetricSet {
  readonly #registry: PrometheusRegistry;
  readonly #apps = new Map<string | undefined, AppMetrics>();
  readonly #metrics: ReadonlyMap<string, Metric>;

  constructor(registry: PrometheusRegistry, prefix: string) {
    this.#registry = registry;
    this.#metrics = new Map(
      definitions.map((definition) => {
        const name = `${prefix}${definition.name}`;
        return [name, new Metric(name, definition, this.#apps)];
      }),
    );
  }

  /**
   * Begins to count for an app.
   *
   * @param label The label `app` of its metrics; `undefined`: they have none.
   * @throws EnfiladeError `ERR_OPTION` when the registry has metrics with these names and this label already.
   */
  add(label: string | undefined, app: Application): void {
    this.#check(label);
    for (const [name, metric] of this.#metrics) {
      if (this.#registry.getSingleMetric(name) === metric) continue;
      metric.name = name;
      this.#registry.registerMetric(metric);
    }
    this.#apps.set(label, new AppMetrics(app));
  }

  /** Ends the counting for the app with this label, and removes the metrics after the last app. */
  remove(label: string | undefined): void {
    this.#apps.get(label)?.close();
    this.#apps.delete(label);
    if (this.#apps.size > 0) return;
    for (const [name, metric] of this.#metrics) {
      if (this.#registry.getSingleMetric(name) === metric) this.#registry.removeSingleMetric(name);
    }
  }

  #check(label: string | undefined): void {
    const [first] = this.#metrics.keys();
    if (this.#apps.has(label)) {
      const whose = label === undefined ? "an app without a name" : `an app with the name "${label}"`;
      throw new EnfiladeError(
        "ERR_OPTION",
        `the registry has the metrics of ${whose} already (${first}); pass metrics() another name, prefix or registry`,
      );
    }
    for (const [name, metric] of this.#metrics) {
      const known = this.#registry.getSingleMetric(name);
      if (known === undefined || known === metric) continue;
      throw new EnfiladeError(
        "ERR_OPTION",
        `the registry has another metric ${name}; pass metrics() another prefix or registry`,
      );
    }
  }
}

const sets = new WeakMap<PrometheusRegistry, Map<string, MetricSet>>();

/** The metrics with this prefix in a registry; made on first use. */
export function metricSetOf(registry: PrometheusRegistry, prefix: string): MetricSet {
  const ofRegistry = sets.get(registry) ?? new Map<string, MetricSet>();
  sets.set(registry, ofRegistry);
  const known = ofRegistry.get(prefix) ?? new MetricSet(registry, prefix);
  ofRegistry.set(prefix, known);
  return known;
}
