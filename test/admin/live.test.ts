import { channel } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import type { EntryBatch, LiveEntry, LiveFilter, Overview } from "../../src/admin/api.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { closes } from "../support/app.js";
import { type AdminApp, type AdminAppOptions, startAdmin, token } from "./support.js";

const published = channel("enfilade:publish");
const authorization = `Bearer ${token}`;

/** A live connection of a page, as a plain client. */
class LivePage {
  readonly client: TestClient;
  readonly #batches: EntryBatch[] = [];

  constructor(client: TestClient) {
    this.client = client;
  }

  static async open(app: AdminApp): Promise<LivePage> {
    return new LivePage(await connect(app.app, "/admin/live", { headers: { authorization } }));
  }

  /** Calls an event; resolves with its reply. */
  async call(event: string, data: unknown): Promise<unknown> {
    this.client.sendJSON({ event, id: 1, data });
    return this.#readUntil((message) => "id" in message);
  }

  async overview(): Promise<Overview> {
    // The event has this data.
    return ((await this.#readUntil(({ event }) => event === "overview")) as { data: Overview }).data;
  }

  /** Resolves with the entries so far, once `isEnough`. */
  async entries(isEnough: (entries: LiveEntry[], missed: number) => boolean): Promise<LiveEntry[]> {
    const all = () => this.#batches.flatMap(({ entries }) => entries);
    const missed = () => this.#batches.reduce((sum, batch) => sum + batch.missed, 0);
    while (!isEnough(all(), missed())) await this.#readUntil(({ event }) => event === "entries");
    return all();
  }

  get batches(): readonly EntryBatch[] {
    return this.#batches;
  }

  async #readUntil(isWanted: (message: { event?: string; data?: unknown }) => boolean): Promise<unknown> {
    for (;;) {
      // The server sends events and replies, which are objects.
      const message = (await this.client.readJSON()) as { event?: string; data?: unknown };
      // As above.
      if (message.event === "entries") this.#batches.push(message.data as EntryBatch);
      if (isWanted(message)) return message;
    }
  }
}

async function tapping(filter: LiveFilter, options?: AdminAppOptions): Promise<[AdminApp, LivePage]> {
  const app = await startAdmin(options);
  const page = await LivePage.open(app);
  expect(await page.call("tap", { id: "t", filter })).toEqual({ id: 1, data: {} });
  return [app, page];
}

describe("the live connection", () => {
  it("is refused without an operator, from another origin, and past operatorsMax", async () => {
    const app = await startAdmin({ admin: { limits: { operatorsMax: 1 } } });
    await expect(connect(app.app, "/admin/live")).rejects.toMatchObject({ status: 401 });
    const foreign = { headers: { authorization, origin: "http://evil.example" } };
    await expect(connect(app.app, "/admin/live", foreign)).rejects.toMatchObject({ status: 403 });
    const page = await LivePage.open(app);
    await expect(LivePage.open(app)).rejects.toMatchObject({ status: 503 });
    page.client.close();
    await page.client.closed;
  });

  it("counts refusals of authorize together with those of requests", async () => {
    const app = await startAdmin({ admin: { limits: { refusalsPerMinuteMax: 2 } } });
    for (const status of [401, 401, 429]) {
      await expect(app.running.open("/admin/live")).rejects.toMatchObject({ status });
    }
    expect((await app.fetch("/api/session")).status).toBe(429);
  });

  it("is no user of the app", async () => {
    const app = await startAdmin();
    await LivePage.open(app);
    expect(app.app.status().users).toBe(0);
  });

  it("gets the overview again and again", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const page = await LivePage.open(app);
    const first = await page.overview();
    expect(first.nodes.map(({ node }) => node)).toEqual(["one"]);
    const ann = await connect(app.app, "/chat/a");
    for (let count = 0; count < 10; count += 1) ann.sendText("hello");
    const { totals } = app.app.status();
    expect(totals.opened).toBe(2);
    const overview = async () => (await page.overview()).nodes[0];
    let node = await overview();
    while (node?.rates.messagesIn === 0) node = await overview();
    expect(node?.rates.bytesIn).toBeGreaterThan(0);
    expect(node?.rates.bytesOut).toBeGreaterThan(0);
  });
});

describe("a tap", () => {
  it("shows messages, publications and the life of connections, without credentials", async () => {
    const [app, page] = await tapping({});
    const ann = await app.running.open("/chat/a?user=ann&token=secret");
    ann.sendText("hello");
    await ann.readText();
    await expect(app.running.open("/nowhere?token=secret")).rejects.toMatchObject({ status: 404 });
    const broken = await app.running.open("/chat/b");
    broken.sendText("fail");
    await broken.closed;
    const entries = await page.entries((all) => all.some(({ type }) => type === "close"));
    const who = { connection: expect.any(String), path: "/chat/a", user: "ann" };
    const at = expect.any(Number);
    const content = { kind: "text", text: "hello", bytes: 5 };
    expect(entries).toEqual(
      expect.arrayContaining([
        { at, direction: "lifecycle", type: "open", ...who },
        { at, direction: "in", ...who, ...content },
        { at, direction: "publish", to: "/chat/a", ...content },
        { at, direction: "out", ...who, to: "/chat/a", ...content },
        { at, direction: "lifecycle", type: "refuse", path: "/nowhere", code: 404, reason: "Not Found" },
        expect.objectContaining({ direction: "lifecycle", type: "error", path: "/chat/b", text: "the handler failed" }),
        expect.objectContaining({ direction: "lifecycle", type: "close", path: "/chat/b", code: 1011 }),
      ]),
    );
    expect(JSON.stringify(entries)).not.toContain("secret");
    expect(entries.filter(({ path }) => path?.startsWith("/admin"))).toEqual([]);
  });

  it("does not show the traffic of the admin itself", async () => {
    const [app, page] = await tapping({});
    const other = await LivePage.open(app);
    await other.overview();
    const ann = await connect(app.app, "/chat/a");
    ann.sendText("hello");
    const entries = await page.entries((all) => all.some(({ text }) => text === "hello"));
    expect(new Set(entries.map(({ path }) => path))).not.toContain("/admin/live");
  });

  it("filters on the server", async () => {
    const [app, page] = await tapping({ user: "bob", direction: "in", text: "yes" });
    const [ann, bob] = [await connect(app.app, "/chat/a?user=ann"), await connect(app.app, "/chat/a?user=bob")];
    for (const text of ["yes of ann", "no"]) ann.sendText(text);
    for (const text of ["no", "yes of bob"]) bob.sendText(text);
    const entries = await page.entries((all) => all.length > 0);
    expect(entries.map(({ text }) => text)).toEqual(["yes of bob"]);
  });

  it("cuts long content", async () => {
    const [app, page] = await tapping({ direction: "in" });
    const ann = await connect(app.app, "/chat/a");
    ann.sendText("x".repeat(10_000));
    const [entry] = await page.entries((all) => all.length > 0);
    expect([entry?.text?.length, entry?.bytes]).toEqual([4_096, 10_000]);
  });

  it("drops the oldest of too many entries, and counts them", async () => {
    const [app, page] = await tapping({ direction: "in" });
    const ann = await connect(app.app, "/chat/a");
    const count = 5_000;
    for (let number = 0; number < count; number += 1) ann.sendText(String(number));
    await page.entries((all, missed) => all.length + missed >= count);
    const { batches } = page;
    expect(Math.max(...batches.map(({ entries }) => entries.length))).toBeLessThanOrEqual(500);
    expect(batches.reduce((sum, { missed }) => sum + missed, 0)).toBeGreaterThan(0);
    expect(batches.at(-1)?.entries.at(-1)?.text).toBe(String(count - 1));
  });

  it("ends with untap, and with its connection", async () => {
    const [app, page] = await tapping({ direction: "publish" });
    const ann = await connect(app.app, "/chat/a");
    expect(published.hasSubscribers).toBe(true);
    expect(await page.call("untap", { id: "t" })).toEqual({ id: 1, data: {} });
    expect(published.hasSubscribers).toBe(false);
    ann.sendText("not seen");
    await ann.readText();
    await page.call("tap", { id: "t", filter: { direction: "publish" } });
    ann.sendText("seen");
    expect((await page.entries((all) => all.length > 0)).map(({ text }) => text)).toEqual(["seen"]);
    const closed = closes(app.app, 1);
    page.client.close();
    await closed;
    expect(published.hasSubscribers).toBe(false);
  });

  it("is refused past tapsPerOperatorMax and for a wrong filter", async () => {
    const [, page] = await tapping({}, { admin: { limits: { tapsPerOperatorMax: 2 } } });
    const codeOf = async (data: unknown) => Object(await page.call("tap", data)).error?.code;
    expect(await codeOf({ id: "u", filter: {} })).toBeUndefined();
    expect(await codeOf({ id: "v", filter: {} })).toBe("too_many");
    expect(await codeOf({ id: "u", filter: { room: "no path" } })).toBe("bad_filter");
    expect(await codeOf({ id: "u", filter: { except: "x" } })).toBe("bad_filter");
    expect(await codeOf({ id: "u", filter: { direction: "up" } })).toBe("bad_filter");
    expect(await codeOf({ id: "u" })).toBe("bad_filter");
    expect(await codeOf({ filter: {} })).toBe("bad_data");
  });
});
