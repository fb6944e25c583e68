import type { Labels, Sample } from "./sample.js";

/**
 * The upper bounds of the buckets, in seconds. Handlers and publications take from microseconds, in memory, to seconds,
 * over a slow engine.
 */
const boundsSeconds = [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A histogram of durations, in plain numbers: an observation looks up no label and allocates nothing. */
export class Durations {
  readonly #labels: Labels;
  /** The count of each bucket without the smaller ones; the last one is above all bounds. */
  readonly #counts = new Float64Array(boundsSeconds.length + 1);
  #sumSeconds = 0;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < boundsSeconds.length && seconds > (boundsSeconds[bucket] ?? 0)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumSeconds += seconds;
  }

  /** In the form of Prometheus: each bucket has the observations up to its bound. */
  get samples(): readonly Sample[] {
    const labels = this.#labels;
    let count = 0;
    const buckets = [...this.#counts].map((inBucket, index): Sample => {
      count += inBucket;
      const bound = boundsSeconds[index];
      return {
        labels: { ...labels, le: bound === undefined ? "+Inf" : String(bound) },
        value: count,
        suffix: "_bucket",
      };
    });
    return [
      ...buckets,
      { labels, value: this.#sumSeconds, suffix: "_sum" },
      { labels, value: count, suffix: "_count" },
    ];
  }
}

/** The histograms of one route: of its events, and of its hooks and the methods that read messages. */
interface RouteDurations {
  readonly events: Map<string, Durations>;
  readonly methods: Map<string, Durations>;
}

/** The histograms of calls of handlers, by their route and their method or event. */
export class CallDurations {
  readonly #byRoute = new Map<string, RouteDurations>();

  /** @param event The event that the method answers; `undefined` for another method. */
  observe(route: string, method: string, event: string | undefined, seconds: number): void {
    const { events, methods } = this.#byRoute.get(route) ?? this.#add(route);
    const known = event === undefined ? methods.get(method) : events.get(event);
    if (known !== undefined) {
      known.observe(seconds);
      return;
    }
    const added = new Durations(event === undefined ? { route, method } : { route, method, event });
    if (event === undefined) methods.set(method, added);
    else events.set(event, added);
    added.observe(seconds);
  }

  get samples(): readonly Sample[] {
    const all = [...this.#byRoute.values()].flatMap(({ events, methods }) => [...methods.values(), ...events.values()]);
    return all.flatMap(({ samples }) => samples);
  }

  #add(route: string): RouteDurations {
    const added = { events: new Map(), methods: new Map() };
    this.#byRoute.set(route, added);
    return added;
  }
}
