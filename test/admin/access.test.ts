import { describe, expect, it } from "vitest";
import type { SessionInfo } from "../../src/admin/api.js";
import { type AdminOptions, type AuditEntry, admin } from "../../src/admin/index.js";
import { MemoryBackplane } from "../../src/backplane/index.js";
import { App, HttpError } from "../../src/index.js";
import { Mailbox } from "../support/app.js";
import { type AdminApp, normal, startAdmin } from "./support.js";

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

describe("the options of admin()", () => {
  it("need authorize, and says why", () => {
    // @ts-expect-error: the type requires it.
    const make = () => admin({});
    expect(make).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("authorize is required") }),
    );
  });

  it("do not appear in the error when a secret is in the place of authorize", () => {
    // @ts-expect-error: the type requires a function.
    const make = () => admin({ authorize: "t0p-secret" });
    expect(make).toThrow(/got string$/);
    expect(make).not.toThrow("t0p-secret");
  });

  it.each<[string, object]>([
    ["a short secret", { secret: "short" }],
    ["an unknown option", { user: "ann" }],
    ["a limit that is no number", { limits: { operatorsMax: "many" } }],
    ["an unknown limit", { limits: { operatorMax: 1 } }],
    ["a node without a name", { node: "" }],
    ["a path with a parameter", { path: "/admin/:name" }],
    ["a path that is no string", { path: 7 }],
    ["an onAudit that is no function", { onAudit: true }],
  ])("refuse %s", (_what, options) => {
    expect(() => admin({ ...normal, ...options })).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  });
});

describe("an admin", () => {
  it("belongs to one app, until that app closes", async () => {
    const extension = admin(normal);
    const first = new App().use(extension);
    await using second = new App();
    expect(() => second.use(extension)).toThrow("an app has this admin already; call admin() once for each app");
    await first.close();
    second.use(extension);
  });

  it("says how long a short secret is, and how to create one, without the secret", () => {
    const message =
      "secret of admin() takes a string of at least 32 characters, got one of 5; create one with: openssl";
    expect(() => admin({ ...normal, secret: "12345" })).toThrow(message);
  });
});

describe("a request to the admin", () => {
  it("is refused without an operator, on every path", async () => {
    const { origin } = await startAdmin();
    for (const path of ["", "/", "/rooms", "/assets/admin.js", "/api/session", "/api/connections", "/api/nothing"]) {
      const response = await fetch(`${origin}/admin${path}`);
      expect([path, response.status]).toEqual([path, 401]);
      expect(await response.json()).toEqual({ error: { code: "ERR_HTTP", message: "Unauthorized" } });
    }
  });

  it.each([undefined, null, false, "", 0])("is refused when authorize returns %s", async (answer) => {
    const { origin } = await startAdmin({ admin: { authorize: () => answer as "" } });
    expect((await fetch(`${origin}/admin/api/session`)).status).toBe(401);
  });

  it("gets the answer of a thrown HttpError and of a Response", async () => {
    const authorize: AdminOptions["authorize"] = ({ query }) => {
      if (query.has("login")) return new Response(null, { status: 302, headers: { location: "/login" } });
      throw new HttpError(401, "log in", { headers: { "www-authenticate": "Basic" } });
    };
    const { origin } = await startAdmin({ admin: { authorize } });
    const refused = await fetch(`${origin}/admin/api/session`);
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, "Basic"]);
    const moved = await fetch(`${origin}/admin?login`, { redirect: "manual" });
    expect([moved.status, moved.headers.get("location")]).toEqual([302, "/login"]);
    expect(moved.headers.get("content-security-policy")).toBe(policy);
  });

  it("gets 500 without details when authorize throws or returns something else", async () => {
    const answers = [() => ({ id: "ann" }), () => Promise.reject(new Error("secret detail"))];
    for (const answer of answers) {
      // JavaScript callers may return anything.
      const authorize = answer as unknown as AdminOptions["authorize"];
      const { origin, running } = await startAdmin({ admin: { authorize } });
      const response = await fetch(`${origin}/admin/api/session`);
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain("secret");
      expect(running.errors).toEqual([]);
    }
  });

  it("is refused with 429 after too many refusals of its address, even with the right token", async () => {
    const app = await startAdmin({ admin: { limits: { refusalsPerMinuteMax: 3 } } });
    for (let count = 0; count < 3; count += 1) expect((await fetch(`${app.origin}/admin`)).status).toBe(401);
    const refused = await app.fetch("/api/session");
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("has a strict policy and is not stored", async () => {
    const app = await startAdmin();
    for (const path of ["/api/session", "/api/connections", "/api/nothing", "/api/rooms?under=x"]) {
      const { headers } = await app.fetch(path);
      expect(headers.get("content-security-policy")).toBe(policy);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("cache-control")).toBe("no-store");
    }
  });

  it("takes only the method of its call", async () => {
    const app = await startAdmin();
    const wrong = await app.fetch("/api/session", { method: "POST" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    const get = await app.fetch("/api/close");
    expect([get.status, get.headers.get("allow")]).toEqual([405, "POST"]);
    expect((await app.fetch("/api/constructor")).status).toBe(404);
  });

  it("gets the session of its operator", async () => {
    const app = await startAdmin({ admin: { node: "here" } });
    const session = await app.get<SessionInfo>("session");
    expect(session).toEqual({
      operator: "olga",
      csrf: expect.stringMatching(/^[\w-]{43}$/),
      node: "here",
      path: "/admin",
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });
});

describe("a call that changes something", () => {
  const body = JSON.stringify({ user: "ann" });

  async function statusOf(app: AdminApp, headers: Record<string, string>, path = "/api/close"): Promise<number> {
    const type = { "content-type": "application/json" };
    return (await app.fetch(path, { method: "POST", headers: { ...type, ...headers }, body })).status;
  }

  it("names the origin and the host that a refused call has, and what a proxy must do", async () => {
    const app = await startAdmin();
    const refused = await app.fetch("/api/close", { method: "POST", headers: { origin: "https://example.com" } });
    expect(await refused.text()).toContain(
      String.raw`got \"https://example.com\" for the host \"127.0.0.1:${app.port}\"; a proxy must forward Host`,
    );
  });

  it("needs the origin of its host and the token of its operator", async () => {
    const entries: AuditEntry[] = [];
    const app = await startAdmin({ admin: { onAudit: (entry) => entries.push(entry) } });
    const { csrf } = await app.get<SessionInfo>("session");
    const right = { origin: app.origin, "x-enfilade-csrf": csrf };
    const wrong: Record<string, string>[] = [
      {},
      { origin: app.origin },
      { "x-enfilade-csrf": csrf },
      { ...right, origin: "http://evil.example" },
      { ...right, origin: "null" },
      { ...right, "x-enfilade-csrf": csrf.slice(1) },
      { ...right, "x-enfilade-csrf": `${csrf.slice(0, -2)}AA` },
    ];
    for (const headers of wrong) expect([headers, await statusOf(app, headers)]).toEqual([headers, 403]);
    expect(entries).toEqual([]);
    expect(await statusOf(app, right)).toBe(200);
    expect(await statusOf(app, { ...right, "content-type": "text/plain" })).toBe(415);
  });

  it("does not take the token of another operator", async () => {
    const authorize: AdminOptions["authorize"] = ({ headers }) => String(headers["x-operator"] ?? "");
    const app = await startAdmin({ admin: { authorize } });
    const session = await app.fetch("/api/session", { headers: { "x-operator": "mallory" } });
    const { csrf } = (await session.json()) as SessionInfo;
    const headers = { origin: app.origin, "x-enfilade-csrf": csrf };
    expect(await statusOf(app, { ...headers, "x-operator": "olga" })).toBe(403);
    expect(await statusOf(app, { ...headers, "x-operator": "mallory" })).toBe(200);
  });

  it("has a bounded body, a JSON object with known fields", async () => {
    const app = await startAdmin({ admin: { limits: { bodyBytesMax: 100 } } });
    const { csrf } = await app.get<SessionInfo>("session");
    const headers = { origin: app.origin, "x-enfilade-csrf": csrf, "content-type": "application/json" };
    const ask = (text: string) => app.fetch("/api/close", { method: "POST", headers, body: text });
    expect((await ask(JSON.stringify({ user: "x".repeat(100) }))).status).toBe(413);
    for (const text of [
      "",
      "[]",
      "null",
      "{",
      '"x"',
      "{}",
      '{"user":"a","room":"/a"}',
      '{"users":"a"}',
      '{"user":7}',
    ]) {
      expect([text, (await ask(text)).status]).toEqual([text, 400]);
    }
  });

  it("is one audit entry, done or refused", async () => {
    const entries = new Mailbox<AuditEntry>();
    const app = await startAdmin({ admin: { node: "here", onAudit: (entry) => entries.put(entry) } });
    await app.post("close", { user: "ann", code: 4001, reason: "bye" });
    await app.post("close", { user: "ann", code: 1001 });
    await app.post("send", { to: { user: "ann" }, kind: "text", data: "private" });
    const common = { at: expect.any(Number), operator: "olga", address: "127.0.0.1", node: "here" };
    expect(await entries.have(3)).toEqual([
      { ...common, action: "close", target: { user: "ann", code: 4001, reason: "bye" }, result: "done" },
      { ...common, action: "close", target: { user: "ann", code: 1001 }, result: "ERR_CLOSE_CODE" },
      { ...common, action: "send", target: { user: "ann" }, result: "done" },
    ]);
  });

  it("is one line for the logger, without control characters", async () => {
    const lines = new Mailbox<string>();
    const logger = { warn: (line: string) => lines.put(line), error: () => undefined };
    const app = await startAdmin({ app: { logger }, admin: { node: "here", authorize: () => "ol\nga\u202e" } });
    await app.post("close", { user: "a\r\nb\u0085", reason: "\u001b[31m" });
    const target = '{"user":"a\\r\\nb\\u0085","reason":"\\u001b[31m"}';
    expect(await lines.have(1)).toEqual([
      `enfilade: admin: "ol\\nga\\u202e" ("127.0.0.1") on "here": close ${target}: done`,
    ]);
  });
});

it("takes no client into the room of the nodes", async () => {
  const { running } = await startAdmin();
  await expect(running.open("/admin/nodes/x")).rejects.toMatchObject({ status: 404 });
});

it("needs a secret when the app has many nodes", () => {
  class Engine extends MemoryBackplane {
    override status() {
      const status = super.status();
      return { ...status, backplane: { ...status.backplane, engine: "redis" } };
    }
  }
  const { authorize } = normal;
  expect(() => new App({ backplane: new Engine() }).use(admin({ authorize }))).toThrow(
    expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("needs secret") }),
  );
});
