/** The text of a scrape, parsed: the text format 0.0.4, or OpenMetrics. */
export interface Scrape {
  /** The type of each metric, by name. */
  readonly types: ReadonlyMap<string, string>;
  /** The help text of each metric, by name. */
  readonly helps: ReadonlyMap<string, string>;
  /** The value of each series, by its name with its labels, such as `up{engine="redis"}`. */
  readonly values: ReadonlyMap<string, number>;
  /** The labels of each series. */
  readonly labels: readonly Readonly<Record<string, string>>[];
  /** The value of a series; throws if there is none. */
  value(series: string): number;
}

export function parseScrape(text: string): Scrape {
  const types = new Map<string, string>();
  const helps = new Map<string, string>();
  const values = new Map<string, number>();
  const labels: Record<string, string>[] = [];
  for (const line of text.split("\n").filter((one) => one !== "" && one !== "# EOF")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind !== undefined) {
      (kind === "HELP" ? helps : types).set(name, rest);
      continue;
    }
    const [, series = "", list = "", value = ""] = /^([a-zA-Z_:][\w:]*(?:\{(.*)\})?) (\S+)$/.exec(line) ?? [];
    if (series === "" || values.has(series)) throw new Error(`not a line of metrics, or one twice: ${line}`);
    values.set(series, Number(value));
    labels.push(Object.fromEntries([...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, one]) => [key, one])));
  }
  const value = (series: string) => {
    const found = values.get(series);
    if (found === undefined) throw new Error(`there is no ${series} in\n${text}`);
    return found;
  };
  return { types, helps, values, labels, value };
}
