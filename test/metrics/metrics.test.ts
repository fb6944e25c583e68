import { channel, tracingChannel } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as successor from "@prometheus-io/client";
import express from "express";
import * as promClient from "prom-client";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { MemoryBackplane } from "../../src/backplane/index.js";
import { App, defaultLimits, HttpError, latest, reliable, skip, WebSocketHandler } from "../../src/index.js";
import { type MetricsEndpointOptions, type MetricsOptions, metrics } from "../../src/metrics/index.js";
import { connect, connectURL, ManualClock } from "../../src/testing/index.js";
import { closes, Mailbox, start } from "../support/app.js";
import { Dice } from "../support/dice.js";
import { parseScrape, type Scrape } from "../support/prometheus.js";
import { Chat, Sums } from "../support/scrapedApp.js";
import { SlowClient } from "../support/slowClient.js";

const clients = { "@prometheus-io/client": successor, "prom-client": promClient };
const v1 = { protocols: ["enfilade.v1"] };

const ask = (port: number, path = "/metrics", init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);

async function scrape(port: number, path?: string): Promise<Scrape> {
  const answer = await ask(port, path);
  expect(answer.status).toBe(200);
  return parseScrape(await answer.text());
}

/** The options with a registry of this test. */
function fresh(name: keyof typeof clients = "prom-client"): MetricsOptions {
  const client = clients[name];
  return { client, registry: new client.Registry() };
}

describe.each(Object.keys(clients) as (keyof typeof clients)[])("metrics for %s", (name) => {
  it("count connections, messages, handlers, publications, resumes and errors", async () => {
    const app = new App()
      .route("/chat/:room", Chat)
      .route("/kept/:room", Chat, { history: { size: 10 } })
      .route("/sums", Sums)
      .use(metrics(fresh(name)));
    const { port, open } = await start(app);
    const [ann, bob] = [await open("/chat/a?as=ann"), await open("/chat/a?as=bob")];
    ann.sendText("hello");
    await Promise.all([ann.read(), bob.read()]);
    const sums = await open("/sums", v1);
    await sums.read();
    for (const event of ["add", "add", "later"]) {
      sums.sendJSON({ type: "event", event, data: { a: 1, b: 2 }, id: String(Math.random()) });
      await sums.read();
    }
    const { epoch = "" } = (await app.registry.room("/kept/a").publish(1)) ?? {};
    for (const since of [`${epoch}:1`, `${epoch}:0`, "other:1"]) {
      await (await open(`/kept/a?since=${since}`, v1)).read();
    }
    await expect(open("/nowhere")).rejects.toMatchObject({ status: 404 });
    await expect(open("/chat/a?as=mallory")).rejects.toMatchObject({ status: 403 });
    const left = closes(app, 3);
    ann.sendText("throw");
    await bob.close(3123, "bye");
    await sums.close(1000);
    await left;

    const { value, types, helps, values } = await scrape(port);
    expect(value("enfilade_ready")).toBe(1);
    expect(value("enfilade_connections")).toBe(3);
    expect(value("enfilade_rooms")).toBe(1);
    expect(value("enfilade_users")).toBe(1);
    expect(value("enfilade_connections_opened_total")).toBe(6);
    expect(value('enfilade_connections_closed_total{code="1011",by="server"}')).toBe(1);
    expect(value('enfilade_connections_closed_total{code="other",by="client"}')).toBe(1);
    expect(value('enfilade_connections_closed_total{code="1000",by="client"}')).toBe(1);
    expect(value('enfilade_connections_refused_total{status="404",reason="route"}')).toBe(1);
    expect(value('enfilade_connections_refused_total{status="403",reason="authorize"}')).toBe(1);
    expect(value('enfilade_resumes_total{outcome="recovered"}')).toBe(2);
    expect(value('enfilade_resumes_total{outcome="epoch"}')).toBe(1);
    expect(value("enfilade_messages_received_total")).toBe(5);
    expect(value("enfilade_received_bytes_total")).toBe(app.status().totals.receivedBytes);
    expect(value("enfilade_deliveries_total")).toBe(app.status().totals.delivered);
    expect(value("enfilade_sent_bytes_total")).toBe(app.status().totals.sentBytes);
    expect(value("enfilade_sent_bytes_total")).toBeGreaterThan(2 * "hello".length);
    expect(value("enfilade_errors_total")).toBe(1);
    expect(value('enfilade_handler_seconds_count{route="/chat/:room",method="onMessage"}')).toBe(2);
    expect(value('enfilade_handler_seconds_count{route="/sums",method="onAdd",event="add"}')).toBe(2);
    expect(value('enfilade_handler_seconds_count{route="/sums",method="onSlow",event="later"}')).toBe(1);
    expect(value('enfilade_publish_seconds_count{to="room"}')).toBe(2);
    expect(value('enfilade_publish_seconds_bucket{to="room",le="+Inf"}')).toBe(2);
    expect(value('enfilade_backplane_up{engine="memory"}')).toBe(1);
    expect(value("enfilade_history_rooms")).toBe(1);
    expect(value('enfilade_event_loop_delay_seconds{quantile="0.99"}')).toBeGreaterThanOrEqual(0);
    expect([...types.keys()]).toEqual([...helps.keys()]);
    expect([...values.values()].filter((one) => !Number.isFinite(one) || one < 0)).toEqual([]);
  });

  it("are in the format of OpenMetrics in a registry for it, also after another app", async () => {
    const client = clients[name];
    const registry = new client.Registry<typeof client.openMetricsContentType>();
    registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE);
    for (const appName of ["one", "two"]) {
      const { app, port, open } = await start(
        new App().route("/sums", Sums).use(metrics({ client, registry, name: appName })),
      );
      await open("/sums", v1);
      const answer = await ask(port);
      expect(answer.headers.get("content-type")).toBe(client.Registry.OPENMETRICS_CONTENT_TYPE);
      const text = await answer.text();
      expect(text.endsWith("# EOF\n")).toBe(true);
      const { value, types } = parseScrape(text);
      expect(value(`enfilade_connections_opened_total{app="${appName}"}`)).toBe(1);
      expect(types.get("enfilade_connections_opened")).toBe("counter");
      await app.close();
      expect(registry.getMetricsAsArray()).toEqual([]);
    }
  });

  it("are added up over the workers of node:cluster by the client", async () => {
    const client = clients[name];
    const registry = new client.Registry();
    const { open } = await start(new App().route("/sums", Sums).use(metrics({ client, registry })));
    const user = await open("/sums");
    user.sendJSON({ event: "add", data: { a: 1, b: 2 }, id: "1" });
    await user.read();
    const worker = await registry.getMetricsAsJSON();
    const { value } = parseScrape(await client.AggregatorRegistry.aggregate([worker, worker]).metrics());
    expect(value("enfilade_connections")).toBe(2);
    expect(value("enfilade_ready")).toBe(1);
    expect(value('enfilade_handler_seconds_bucket{route="/sums",method="onAdd",event="add",le="+Inf"}')).toBe(2);
  });

  it("go to the default registry of the client, and leave it when the app closes", async () => {
    const client = clients[name];
    const { port, app, open } = await start(new App().route("/sums", Sums).use(metrics({ client })));
    expect((await scrape(port)).value("enfilade_connections")).toBe(0);
    await (await open("/sums", v1)).read();
    expect((await scrape(port)).value("enfilade_connections")).toBe(1);
    expect(client.register.getSingleMetric("enfilade_connections")).toBeDefined();
    await app.close();
    expect(client.register.getMetricsAsArray()).toEqual([]);
  });
});

describe("the endpoint of metrics", () => {
  it("answers GET and HEAD to its path only", async () => {
    const { port } = await start(new App().use(metrics({ ...fresh(), path: "/internal/metrics" })));
    const get = await ask(port, "/internal/metrics?x=1");
    expect([get.status, get.headers.get("content-type")]).toEqual([200, promClient.contentType]);
    expect(get.headers.get("cache-control")).toBe("no-store");
    const head = await ask(port, "/internal/metrics", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const post = await ask(port, "/internal/metrics", { method: "POST", body: "x" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    for (const path of ["/internal/metrics/x", "/metrics", "/internal"])
      expect((await ask(port, path)).status).toBe(404);
  });

  it("asks authorize: a falsy result is 401, an HttpError is the answer, another error is 500", async () => {
    const answers: unknown[] = [true, { id: "ann" }, false, undefined, null, 0, ""];
    const authorize: MetricsEndpointOptions["authorize"] = ({ token, path }) => {
      if (token === "forbidden") throw new HttpError(403, "no");
      if (token === "broken") throw new Error("no database");
      expect(path).toBe("/metrics");
      return answers.length % 2 === 0 ? answers.shift() : Promise.resolve(answers.shift());
    };
    const { port, errors } = await start(new App().use(metrics({ ...fresh(), authorize })));
    const statuses = [];
    while (answers.length > 0) statuses.push((await ask(port)).status);
    expect(statuses).toEqual([200, 200, 401, 401, 401, 401, 401]);
    const withToken = (token: string) => ask(port, "/metrics", { headers: { authorization: `Bearer ${token}` } });
    const forbidden = await withToken("forbidden");
    expect([forbidden.status, await forbidden.text()]).toEqual([403, "no"]);
    const broken = await withToken("broken");
    expect([broken.status, await broken.text()]).toEqual([500, "Internal Server Error"]);
    expect(errors.map(({ message }) => message)).toEqual(["no database"]);
  });

  it("says how to authenticate with its 401, and shows nothing", async () => {
    const { port } = await start(new App().use(metrics({ ...fresh(), authorize: () => false })));
    const refused = await ask(port);
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await refused.text()).not.toContain("enfilade");
  });

  it("is served by Express", async () => {
    const app = new App().route("/sums", Sums).use(metrics(fresh()));
    const site = express().use(app.requestListener);
    const server = createServer(site).listen(0, "127.0.0.1");
    app.attach(server);
    await once(server, "listening");
    onTestFinished(async () => {
      await app.close({ timeoutMs: 200 });
      server.closeAllConnections();
      server.close();
    });
    // The server listens on a port, so its address is an object.
    const { port } = server.address() as AddressInfo;
    const client = await connectURL(`ws://127.0.0.1:${port}/sums`, v1);
    await client.read();
    expect((await scrape(port)).value("enfilade_connections")).toBe(1);
  });
});

describe("metrics of an app with an endpoint of its own", () => {
  it("are in the registry, and no path answers", async () => {
    const options = fresh();
    const app = new App().route("/sums", Sums);
    metrics(app, { ...options, prefix: "live:" });
    const { port, open } = await start(app);
    await open("/sums", v1);
    expect((await ask(port)).status).toBe(404);
    const { value, values } = parseScrape(await (options.registry as promClient.Registry).metrics());
    expect(value("live:connections")).toBe(1);
    expect([...values.keys()].filter((series) => !series.startsWith("live:"))).toEqual([]);
  });
});

describe("the numbers of metrics", () => {
  it("have the durations of calls in buckets: until a promise settles, and of a method that throws", async () => {
    const clock = new ManualClock();
    const done = new Mailbox<() => void>();
    class Slow extends WebSocketHandler {
      async onMessage(text: string): Promise<void> {
        await new Promise<void>((resolve) => done.put(resolve));
        if (text === "throw") throw new Error("boom");
        this.sendText("done");
      }
    }
    const options = fresh();
    const { app, open } = await start(new App({ clock, limits: { heartbeatMs: false } }).route("/slow", Slow));
    metrics(app, options);
    const client = await open("/slow");
    for (const [index, ms] of [20, 250, 30_000].entries()) {
      client.sendText(index === 1 ? "go" : "go on");
      const [finish] = (await done.have(index + 1)).slice(-1);
      clock.advance(ms);
      finish?.();
      await client.read();
    }
    client.sendText("throw");
    const [finish] = (await done.have(4)).slice(-1);
    finish?.();
    await client.closed;
    const { value } = parseScrape(await (options.registry as promClient.Registry).metrics());
    const call = 'route="/slow",method="onMessage"';
    const bucket = (le: string) => value(`enfilade_handler_seconds_bucket{${call},le="${le}"}`);
    expect(["0.0001", "0.01", "0.025", "0.1", "0.25", "10", "+Inf"].map(bucket)).toEqual([1, 1, 2, 2, 3, 3, 4]);
    expect(value(`enfilade_handler_seconds_sum{${call}}`)).toBeCloseTo(30.27);
    expect(value(`enfilade_handler_seconds_count{${call}}`)).toBe(4);
  });

  it("leave out serve, which takes as long as its connection", async () => {
    class Served extends WebSocketHandler {
      override async serve(): Promise<void> {
        for await (const message of this.connection) this.sendText(message.text);
      }
      override onClose(): void {
        // Its call is counted.
      }
    }
    const { app, port, open } = await start(new App().route("/served", Served).use(metrics(fresh())));
    const client = await open("/served");
    client.sendText("hello");
    await client.read();
    const left = closes(app, 1);
    await client.close();
    await left;
    const { labels } = await scrape(port);
    expect([...new Set(labels.map(({ method }) => method).filter(Boolean))]).toEqual(["onClose"]);
  });

  it("have the time until the backplane accepted a publication, and not those that it rejected", async () => {
    const clock = new ManualClock();
    class Slow extends MemoryBackplane {
      override async publish(...args: Parameters<MemoryBackplane["publish"]>) {
        clock.advance(40);
        if (args[0] === "/away") throw new Error("away");
        return super.publish(...args);
      }
    }
    const options = fresh();
    const { app } = await start(new App({ clock, backplane: new Slow({ clock, limits: defaultLimits }) }));
    metrics(app, options);
    await app.registry.room("/a").publish(1);
    await app.registry.room("/a").publish(2);
    await expect(app.registry.room("/away").publish(3)).rejects.toThrow("away");
    const { value } = parseScrape(await (options.registry as promClient.Registry).metrics());
    expect(value('enfilade_publish_seconds_sum{to="room"}')).toBeCloseTo(0.08);
    expect(value('enfilade_publish_seconds_count{to="room"}')).toBe(2);
  });

  it("are those of the status of the app", async () => {
    const options = fresh();
    const { app } = await start(new App());
    metrics(app, options);
    const status = app.status();
    const flush = { count: 21, msMax: 22 };
    const memory = {
      bytes: 0,
      inboxBytes: 31,
      unfinishedBytes: 35,
      outboxBytes: 32,
      receiptBytes: 33,
      streamBytes: 36,
      historyBytes: 34,
    };
    const link = { engine: "redis", state: "away", nodes: 41, malformed: 42, healed: 43, lagged: 44, unpublished: 45 };
    const names = Object.keys(status.totals) as (keyof typeof status.totals)[];
    // Each of the totals has its own number.
    const totals = Object.fromEntries(
      names.map((name, index) => [name, 100 + index]),
    ) as unknown as typeof status.totals;
    const history = { historyRooms: 51, historyBytes: 34, historyEvictions: 52 };
    const counts = { connections: 1, rooms: 2, users: 3, handshakes: 4 };
    vi.spyOn(app, "status").mockReturnValue({
      ...{ ...status, ...counts, ...history, ready: false, totals, flush, memory },
      backplane: { ...link, state: "away" },
    });
    const { value } = parseScrape(await (options.registry as promClient.Registry).metrics());
    const expected = {
      ready: 0,
      ...counts,
      connections_opened_total: totals.opened,
      messages_received_total: totals.received,
      received_bytes_total: totals.receivedBytes,
      deliveries_total: totals.delivered,
      sent_bytes_total: totals.sentBytes,
      clients_behind_total: totals.behind,
      slow_closes_total: totals.slow,
      memory_pauses_total: totals.memoryPauses,
      memory_closes_total: totals.memoryCloses,
      receipts_forgotten_total: totals.receiptsForgotten,
      inbox_bytes: 31,
      unfinished_bytes: 35,
      outbox_bytes: 32,
      receipts_bytes: 33,
      streams_bytes: 36,
      flushes_total: 21,
      flush_max_seconds: 0.022,
      history_bytes: 34,
      history_rooms: 51,
      history_evictions_total: 52,
      'backplane_up{engine="redis"}': 0,
      backplane_nodes: 41,
      backplane_malformed_total: 42,
      backplane_healed_total: 43,
      backplane_lagged_total: 44,
      backplane_unpublished_total: 45,
    };
    const scraped = Object.keys(expected).map((name) => [name, value(`enfilade_${name}`)]);
    expect(Object.fromEntries(scraped)).toEqual(expected);
  });

  it("have what policies dropped, and the bytes that wait for a client that lags", async () => {
    const options = fresh();
    const { app } = await start(new App({ limits: { highWaterBytes: 10 } }).route("/sums", Sums));
    metrics(app, options);
    const slow = new SlowClient(app, "/sums", "");
    const [connection] = app.registry.connections;
    connection?.sendText('"more than ten bytes"');
    await slow.frames.have(1);
    for (const policy of [skip, skip, latest("price"), latest("price"), reliable]) {
      connection?.sendText('"x"', { policy });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { value } = parseScrape(await (options.registry as promClient.Registry).metrics());
    expect(value('enfilade_deliveries_dropped_total{policy="skip"}')).toBe(2);
    expect(value('enfilade_deliveries_dropped_total{policy="latest"}')).toBe(1);
    expect(value("enfilade_outbox_bytes")).toBe(app.status().memory.outboxBytes);
    expect(value("enfilade_outbox_bytes")).toBeGreaterThan(0);
    slow.destroy();
  });
});

describe("the options of metrics", () => {
  const client = promClient;
  it.each<[why: string, options: unknown, message: string]>([
    ["no client", {}, "client of metrics() takes the module, as of import client"],
    ["a client without a registry", { client: { register: {} } }, 'got {"register":{}}'],
    ["a registry that is none", { client, registry: {} }, "registry of metrics() takes a registry of the client"],
    ["an unknown option", { client, pathh: "/x" }, 'metrics() has no option "pathh"; did you mean "path"?'],
    [
      "a prefix that is none",
      { client, prefix: "my-app" },
      'prefix of metrics() takes a text such as "chat_", got "my-app"',
    ],
    ["a name that is none", { client, name: 7 }, "name of metrics() takes a string, got 7"],
    ["a path that is none", { client, path: "metrics" }, 'it does not begin with "/"'],
    ["authorize that is none", { client, authorize: "secret" }, "authorize of metrics() takes a function, got string"],
    ["nothing", undefined, "metrics() takes an object, got undefined"],
  ])("refuse %s", (_why, options, message) => {
    // As JavaScript code may call it.
    expect(() => metrics(options as MetricsEndpointOptions)).toThrow(message);
  });

  it("refuse a path together with an app, and an app alone", () => {
    expect(() => metrics(new App(), { client, path: "/x" } as MetricsOptions)).toThrow(
      'metrics(app) has no option "path"',
    );
    expect(() => metrics(new App(), undefined as unknown as MetricsOptions)).toThrow(
      "metrics(app) takes an object, got undefined",
    );
  });

  it("refuse a registry that has another metric of a name, and leave it as it was", async () => {
    const registry = new client.Registry();
    new client.Gauge({ name: "enfilade_connections", help: "another one", registers: [registry] });
    expect(() => new App().use(metrics({ client, registry }))).toThrow("another metric enfilade_connections");
    expect(registry.getMetricsAsArray()).toHaveLength(1);
  });
});

describe("several apps in one process", () => {
  it("have one label each in one registry, and count what is theirs", async () => {
    const options = fresh();
    const one = await start(new App().route("/chat/:room", Chat).use(metrics({ ...options, name: "one" })));
    const two = await start(new App().route("/chat/:room", Chat).use(metrics({ ...options, name: "two" })));
    for (const { open, app } of [one, two, two]) {
      const client = await open("/chat/a");
      client.sendText("hello");
      await client.readText();
      await expect(open("/nowhere")).rejects.toMatchObject({ status: 404 });
      const left = closes(app, 1);
      await client.close(1000);
      await left;
    }
    const { value } = await scrape(one.port);
    expect(value('enfilade_connections_refused_total{app="one",status="404",reason="route"}')).toBe(1);
    expect(value('enfilade_connections_refused_total{app="two",status="404",reason="route"}')).toBe(2);
    const handled = (app: string) => `{app="${app}",route="/chat/:room",method="onMessage"}`;
    expect(value(`enfilade_handler_seconds_count${handled("one")}`)).toBe(1);
    expect(value(`enfilade_handler_seconds_count${handled("two")}`)).toBe(2);
    expect(value('enfilade_publish_seconds_count{app="two",to="room"}')).toBe(2);
    expect(value('enfilade_connections_closed_total{app="two",code="1000",by="client"}')).toBe(2);
    await one.app.close();
    const rest = await scrape(two.port);
    expect(rest.labels.filter(({ app }) => app !== "two")).toEqual([]);
    expect(rest.value('enfilade_connections_opened_total{app="two"}')).toBe(2);
  });

  it("need another name, prefix or registry", () => {
    const options = fresh();
    const app = new App().use(metrics(options));
    onTestFinished(() => app.close());
    const message = "the registry has the metrics of an app without a name already (enfilade_ready); pass metrics()";
    expect(() => metrics(new App(), options)).toThrow(message);
    app.use(metrics({ ...options, prefix: "other_", path: "/other" }));
    app.use(metrics({ ...options, name: "two", path: "/two" }));
    expect(() => metrics(new App(), { ...options, name: "two" })).toThrow('an app with the name "two"');
  });
});

describe("the labels of metrics", () => {
  it("are bounded, for any path, close code, event and user that clients choose", async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    console.log(`labels of metrics: seed ${seed}`);
    const dice = new Dice(seed);
    const words: string[] = [];
    const word = () => {
      const made = `q${dice.from(1e9, 1e12).toString(36)}`;
      words.push(made);
      return made;
    };
    const options = fresh();
    const logger = { warn: () => undefined, error: () => undefined };
    const app = new App({ logger }).route("/chat/:room", Chat).route("/sums", Sums);
    metrics(app, options);
    onTestFinished(() => app.close());
    for (let n = 0; n < 10_000; n += 1) {
      if (n % 3 === 0) {
        await expect(connect(app, `/${word()}`)).rejects.toMatchObject({ status: 404 });
        continue;
      }
      const isChat = n % 3 === 1;
      const client = await connect(app, isChat ? `/chat/${word()}?as=${word()}` : `/sums?as=${word()}`);
      if (isChat) client.sendText(word());
      else client.sendJSON({ event: n % 2 === 0 ? "add" : word(), data: { a: 1, b: 2 }, id: "1" });
      await client.read();
      await client.close(dice.from(3000, 5000));
    }
    const text = await (options.registry as promClient.Registry).metrics();
    expect(words.filter((one) => text.includes(one))).toEqual([]);
    const { labels, value } = parseScrape(text);
    const valuesOf = (name: string) => [...new Set(labels.map((one) => one[name]).filter(Boolean))].sort();
    expect(valuesOf("route")).toEqual(["/chat/:room", "/sums"]);
    expect(valuesOf("event")).toEqual(["add"]);
    expect(valuesOf("method")).toEqual(["onAdd", "onMessage"]);
    expect(valuesOf("status")).toEqual(["404"]);
    expect(valuesOf("code").filter((code) => !/^(?:other|4008|4009|4500|4501|4504)$/.test(String(code)))).toEqual([]);
    expect(value("enfilade_connections_opened_total")).toBe(6666);
    expect(labels.length).toBeLessThan(200);
  }, 60_000);
});

it("holds nothing after the app has closed, and observes nothing", async () => {
  const names = ["connection:open", "connection:close", "message:in", "message:out", "publish", "refuse", "resume"];
  const all = [...names, "error"].map((name) => channel(`enfilade:${name}`));
  const spans = ["handshake", "handler", "publish"].map((name) => tracingChannel(`enfilade:${name}`));
  const observed = () => [...all, ...spans.flatMap(({ start, end, asyncEnd }) => [start, end, asyncEnd])];
  const subscribed = () => observed().filter(({ hasSubscribers }) => hasSubscribers).length;
  const { app } = await start(new App().use(metrics(fresh())));
  // Per message of a client nothing is observed but the call of its handler.
  expect([subscribed(), channel("enfilade:message:out").hasSubscribers]).toEqual([8, false]);
  await app.close();
  expect(subscribed()).toBe(0);
});
