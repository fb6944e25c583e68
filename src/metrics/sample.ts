/** The labels of a series, by name. Every value comes from a bounded set. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a metric. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** What follows the name of the metric, such as `_sum`; only for a histogram. */
  readonly suffix?: "_bucket" | "_sum" | "_count";
}

const noLabels: Labels = {};

/** The only sample of a metric without labels. */
export function single(value: number): readonly Sample[] {
  return [{ labels: noLabels, value }];
}

/** Counts by labels. */
export class Tally {
  readonly #samples = new Map<string, { readonly labels: Labels; value: number }>();

  add(labels: Labels): void {
    const key = JSON.stringify(labels);
    const known = this.#samples.get(key);
    if (known === undefined) this.#samples.set(key, { labels, value: 1 });
    else known.value += 1;
  }

  get samples(): readonly Sample[] {
    return [...this.#samples.values()];
  }
}
