import { readFileSync } from "node:fs";
import { join } from "node:path";
import client from "prom-client";
import { describe, expect, it } from "vitest";
import { App } from "../../src/index.js";
import { metrics } from "../../src/metrics/index.js";
import { connectURL } from "../../src/testing/index.js";
import { start } from "../support/app.js";
import { parseScrape } from "../support/prometheus.js";
import { Chat, Sums } from "../support/scrapedApp.js";
import { readPage, root } from "./pages.js";

/** A scrape of an app in which every metric has a series. */
async function scrapeAll() {
  const registry = new client.Registry();
  const app = new App({ logger: { warn: () => undefined, error: () => undefined } })
    .route("/chat/:room", Chat, { history: { size: 1 } })
    .route("/sums", Sums);
  metrics(app, { client, registry });
  const { open, url } = await start(app);
  const sums = await open("/sums");
  sums.sendJSON({ event: "add", data: { a: 1, b: 2 }, id: "1" });
  await sums.read();
  await app.registry.room("/chat/a").publish(1);
  await (await open("/chat/a?since=other:1", { protocols: ["enfilade.v1"] })).read();
  await expect(connectURL(`${url}/nowhere`)).rejects.toMatchObject({ status: 404 });
  const left = new Promise((resolve) => app.on("close", resolve));
  await sums.close(1000);
  await left;
  return parseScrape(await registry.metrics());
}

/** The labels of each metric of a scrape, by its name. */
function labelsOf({ types, values }: Awaited<ReturnType<typeof scrapeAll>>): Map<string, Set<string>> {
  const all = new Map([...types.keys()].map((name) => [name, new Set<string>()]));
  for (const series of values.keys()) {
    const [, name = "", list = ""] = /^([\w:]+)(?:\{(.*)\})?$/.exec(series) ?? [];
    const metric = all.get(name) ?? all.get(name.replace(/_(?:bucket|sum|count)$/, ""));
    for (const [, label = ""] of list.matchAll(/(\w+)="/g)) if (label !== "le") metric?.add(label);
  }
  return all;
}

describe("docs/metrics.md", () => {
  it("has a row for each metric, with its type and its labels", async () => {
    const scrape = await scrapeAll();
    const labels = labelsOf(scrape);
    const exported = [...scrape.types].map(([name, type]) => [name, type, [...(labels.get(name) ?? [])].sort()]);
    const rows = readPage("docs/metrics.md").prose.flatMap((line) => {
      const [, name, type, list = ""] = /^\| `(enfilade_\w+)` \| (\w+) \| ([^|]*)\|/.exec(line) ?? [];
      return name === undefined ? [] : [[name, type, [...list.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort()]];
    });
    expect(rows).toEqual(exported);
    expect(rows.length).toBeGreaterThan(30);
  });

  it("names base units: seconds and bytes, and _total for counters", async () => {
    const { types, helps } = await scrapeAll();
    for (const [name, type] of types) {
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      expect(name, name).not.toMatch(/_(?:ms|milliseconds|kib|kilobytes|minutes)(?:_|$)/);
      if (type === "histogram") expect(name).toMatch(/_seconds$/);
      expect(helps.get(name), name).toMatch(/^[A-Z0-9].*\.$/);
    }
  });
});

describe("docs/grafana.json", () => {
  interface Panel {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly description?: string;
    readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }

  const text = readFileSync(join(root, "docs/grafana.json"), "utf8");
  const { panels } = JSON.parse(text) as { readonly panels: readonly Panel[] };
  const charts = panels.filter(({ type }) => type !== "row");
  const expressions = charts.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

  it("uses each metric, and no other", async () => {
    const { types } = await scrapeAll();
    const series = new Map<string, string>();
    for (const [name, type] of types) {
      if (type !== "histogram") series.set(name, name);
      else for (const suffix of ["_bucket", "_sum", "_count"]) series.set(name + suffix, name);
    }
    const used = [...text.matchAll(/enfilade_\w+/g)].map(([name]) => name);
    expect(used.filter((name) => !series.has(name))).toEqual([]);
    const shown = new Set(
      expressions.flatMap((one) => one.match(/enfilade_\w+/g) ?? []).map((name) => series.get(name)),
    );
    expect([...types.keys()].filter((name) => !shown.has(name))).toEqual([]);
  });

  it("groups and shows only labels that the metrics have", async () => {
    const all = labelsOf(await scrapeAll());
    const wrong = charts.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr, legendFormat }) => {
        const [name = ""] = expr.match(/enfilade_\w+/) ?? [];
        const own = all.get(name) ?? all.get(name.replace(/_(?:bucket|sum|count)$/, "")) ?? new Set();
        const known = new Set([...own, "le", "job", "instance"]);
        const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", "));
        const matched = [...expr.matchAll(/(\w+)=~?"/g)].map(([, label = ""]) => label);
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
        return [...grouped, ...matched, ...shown].filter((label) => !known.has(label)).map((label) => [title, label]);
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("rates counters and histograms, and has a title, a unit and an explanation for each panel", async () => {
    const { types } = await scrapeAll();
    for (const expr of expressions) {
      const names = expr.match(/enfilade_\w+/g) ?? [];
      const isRated = names.every((name) => expr.includes(`rate(${name}{`));
      expect(isRated, expr).toBe(names.every((name) => types.get(name) !== "gauge"));
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(charts.map(({ title }) => title)).size).toBe(charts.length);
    const bare = charts.filter(({ description, fieldConfig }) => !description || !fieldConfig?.defaults.unit);
    expect(bare.map(({ title }) => title)).toEqual([]);
  });
});
