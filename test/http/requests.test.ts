import { describe, expect, test } from "vitest";
import { App, type RouteOptions, WebSocketHandler } from "../../src/index.js";
import { start } from "../support/app.js";
import { content, listen, post } from "./support.js";

class Chat extends WebSocketHandler {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom(message);
  }
}

async function startChat(options: RouteOptions): Promise<string> {
  const { port } = await start(new App().route("/chat", Chat, options as object));
  return `http://127.0.0.1:${port}/chat`;
}

const all = { http: true, history: { size: 10 }, presence: "full" } as const;

async function ask(url: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  const response = await fetch(url, { method, headers });
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) await response.body?.cancel();
  return response;
}

describe("the form of a response", () => {
  test.each([
    ["*/*", "text/event-stream; charset=utf-8"],
    ["text/event-stream", "text/event-stream; charset=utf-8"],
    ["application/json", "application/json"],
    ["application/*", "application/json"],
    ["text/event-stream;q=0.5, application/json", "application/json"],
    ["text/html", "text/plain; charset=utf-8"],
    ["text/event-stream;q=0", "text/plain; charset=utf-8"],
  ])("Accept: %s gives %s", async (accept, type) => {
    const response = await ask(await startChat(all), { accept });
    expect(response.headers.get("content-type")).toBe(type);
    expect(response.status).toBe(type.startsWith("text/plain") ? 406 : 200);
  });

  test("HEAD has the headers of the JSON", async () => {
    const response = await ask(await startChat(all), {}, "HEAD");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await response.text()).toBe("");
  });

  test.each([
    ["false", { http: false }, "GET", 426],
    ["no option", {}, "POST", 426],
    ["only publish", { http: { publish: true } }, "GET", 405],
    ["only events", { http: { events: true } }, "POST", 405],
    ["no history", { http: true }, "HEAD", 405],
    ["everything", all, "DELETE", 405],
  ])("with %s, a request that is not offered is refused", async (_name, options, method, status) => {
    const response = await ask(await startChat(options as RouteOptions), {}, method);
    expect(response.status).toBe(status);
  });

  test("405 names the methods", async () => {
    const response = await ask(await startChat(all), {}, "PATCH");
    expect(response.headers.get("allow")).toBe("GET, HEAD, POST, OPTIONS");
  });
});

describe("the content as JSON", () => {
  test("pages forward by its position, and backward with reverse", async () => {
    const url = await startChat(all);
    for (const n of [1, 2, 3]) await post(url, n);
    const last = await content(`${url}?limit=2&reverse=true`);
    expect(last.publications.map(({ data }) => data)).toEqual([3, 2]);
    const newest = await content(url);
    const [epoch] = newest.position?.split(":") ?? [];
    const first = await content(`${url}?limit=2&since=${epoch}:0`);
    expect(first.publications.map(({ data }) => data)).toEqual([1, 2]);
    const second = await content(`${url}?limit=2&since=${first.position}`);
    expect(second.publications.map(({ data }) => data)).toEqual([3]);
    expect(await content(`${url}?since=${second.position}`)).toMatchObject({ publications: [] });
    expect(second.position).toBe(newest.position);
  });

  test("reports what it cannot give", async () => {
    const url = await startChat({ ...all, history: { size: 1 } });
    await post(url, 0);
    const { position } = await content(url);
    for (const n of [1, 2]) await post(url, n);
    expect(await content(`${url}?since=${position}`)).toMatchObject({ lost: { reason: "trimmed", missed: 1 } });
    expect(await content(`${url}?since=bad`)).toMatchObject({ lost: { reason: "invalid" } });
    expect(await content(`${url}?since=other:7`)).toMatchObject({ lost: { reason: "epoch" } });
  });

  test("ends at recoverBytesMax, and says where to read on", async () => {
    const { port } = await start(new App({ limits: { recoverBytesMax: 1_000 } }).route("/chat", Chat, all));
    const url = `http://127.0.0.1:${port}/chat`;
    for (const n of [1, 2, 3]) await post(url, `${n} ${"x".repeat(600)}`);
    const numbersOf = ({ publications }: { readonly publications: readonly { readonly data?: unknown }[] }) =>
      publications.map(({ data }) => String(data).split(" ")[0]);
    const first = await content(url);
    expect(numbersOf(first)).toEqual(["1"]);
    expect(numbersOf(await content(`${url}?since=${first.position}`))).toEqual(["2"]);
    expect(numbersOf(await content(`${url}?reverse=true`))).toEqual(["3"]);
  });

  test("shows only the part of a user that others may see", async () => {
    class Members extends Chat {
      authorize({ token = "" }) {
        return { id: token, password: "secret" };
      }
    }
    const show = ({ id }: { readonly id: string }) => ({ name: id.toUpperCase() });
    const options = { http: true, presence: { mode: "full", show: show as (user: unknown) => unknown } } as const;
    const { port } = await start(new App().route("/m", Members, options));
    const url = `http://127.0.0.1:${port}/m`;
    const stream = await listen(url, { authorization: "Bearer ann" });
    await stream.data("presence", 1);
    const { presence } = await content(url, { authorization: "Bearer bob" });
    expect(presence).toEqual({ count: 1, version: 1, users: [{ id: "ann", user: { name: "ANN" }, connections: 1 }] });
  });

  test.each([
    ["limit=0", "limit takes a whole number from 1 to 1000"],
    ["limit=1001", "limit takes a whole number from 1 to 1000"],
    ["limit=x", "limit takes a whole number from 1 to 1000"],
    ["limit=", "limit takes a whole number from 1 to 1000"],
    ["limit=0x10", "limit takes a whole number from 1 to 1000"],
    ["reverse=yes", "reverse takes true or false"],
  ])("%s is answered with 400", async (query, text) => {
    const response = await ask(`${await startChat(all)}?${query}`, { accept: "application/json" });
    expect([response.status, await response.text()]).toEqual([400, text]);
  });
});

describe("pages of other origins", () => {
  const page = "https://app.example";
  const allowed = (response: Response) => [
    response.headers.get("access-control-allow-origin"),
    response.headers.get("access-control-allow-credentials"),
  ];

  test("an allowed origin may read, also what was refused", async () => {
    const { port } = await start(new App({ origins: [page] }).route("/chat", Chat, all));
    const url = `http://127.0.0.1:${port}/chat`;
    const read = await ask(url, { origin: page, accept: "application/json" });
    expect([read.status, ...allowed(read), read.headers.get("vary")]).toEqual([200, page, "true", "origin"]);
    expect(allowed(await ask(url, { origin: page, accept: "text/html" }))).toEqual([page, "true"]);
  });

  test("with the origin *, a page may read, but not with cookies", async () => {
    const { port } = await start(new App({ origins: "*" }).route("/chat", Chat, all));
    const read = await ask(`http://127.0.0.1:${port}/chat`, { origin: page });
    expect([read.status, ...allowed(read)]).toEqual([200, "*", null]);
  });

  test("another origin is refused with 403, for each method", async () => {
    const url = await startChat(all);
    for (const method of ["GET", "POST", "HEAD"]) {
      const response = await ask(url, { origin: page }, method);
      expect([response.status, ...allowed(response)]).toEqual([403, null, null]);
    }
  });

  test("a page that hides its origin is refused", async () => {
    const url = await startChat(all);
    for (const site of ["cross-site", "same-site"]) {
      expect((await ask(url, { "sec-fetch-site": site })).status).toBe(403);
    }
    expect((await ask(url, { "sec-fetch-site": "same-origin" })).status).toBe(200);
  });

  test("a preflight request is answered for an allowed origin alone", async () => {
    const { port } = await start(new App({ origins: [page] }).route("/chat", Chat, all));
    const preflight = async (origin: string) => {
      const headers = { origin, "access-control-request-method": "POST" };
      const response = await ask(`http://127.0.0.1:${port}/chat`, headers, "OPTIONS");
      return [response.status, response.headers.get("access-control-allow-origin")];
    };
    expect(await preflight(page)).toEqual([204, page]);
    expect(await preflight("https://evil.example")).toEqual([204, null]);
  });

  test("a function that throws refuses its client with 500, and no other", async () => {
    const origins = (origin: string) => new URL(origin).hostname === "app.example";
    const { port, errors } = await start(new App({ origins }).route("/chat", Chat, all));
    const url = `http://127.0.0.1:${port}/chat`;
    expect((await ask(url, { origin: "null" })).status).toBe(500);
    expect((await fetch(url, { method: "POST", headers: { origin: "null", "enfilade-stream": "x" } })).status).toBe(
      403,
    );
    expect(errors.length).toBeGreaterThan(0);
    expect((await ask(url, { origin: page })).status).toBe(200);
  });

  test("the host that a trusted proxy names is that of the page, for frames, too", async () => {
    const { port } = await start(new App({ trustProxy: 1 }).route("/chat", Chat, all));
    const proxied = { "x-forwarded-for": "1.2.3.4", "x-forwarded-host": "app.example", "x-forwarded-proto": "https" };
    const headers = { ...proxied, origin: page };
    const url = `http://127.0.0.1:${port}/chat`;
    expect((await post(url, 1, headers)).status).toBe(204);
    // Not 403: only the key is unknown.
    expect((await post(url, 1, { ...headers, "enfilade-stream": "unknown" })).status).toBe(410);
  });

  test("each response to a page depends on its origin", async () => {
    const url = await startChat(all);
    expect((await ask(url)).headers.get("vary")).toBe("origin");
    expect((await ask(url, { origin: "https://evil.example" })).headers.get("vary")).toBe("origin");
  });
});

describe("the option http", () => {
  const declare = (options: object) => () => new App().route("/chat", Chat, options);

  test.each([
    [{ http: "yes" }, 'http takes true, false or { events, history, publish }, got "yes"'],
    [{ http: { event: true } }, 'http has no option "event"; did you mean "events"?'],
    [{ http: { events: 1 } }, "http.events takes a boolean, got 1"],
    [{ http: {} }, "http has to name one of events, history, publish"],
    [{ http: { history: true } }, "http.history needs a route with history or presence"],
  ])("%o is an error", (options, text) => {
    expect(declare(options)).toThrow(text);
  });
});

describe("limits", () => {
  test("connects per second and address count requests: 429 with Retry-After", async () => {
    const { port } = await start(new App({ limits: { connectsPerSecondMax: 2 } }).route("/chat", Chat, all));
    const url = `http://127.0.0.1:${port}/chat`;
    const responses = [await post(url, 1), await post(url, 2), await post(url, 3)];
    expect(responses.map(({ status }) => status)).toEqual([204, 204, 429]);
    expect(responses[2]?.headers.get("retry-after")).toBe("1");
  });

  test("an event stream counts as a connection of its user and of the app", async () => {
    class Members extends Chat {
      authorize() {
        return { id: "ann" };
      }
    }
    const limits = { connectionsPerUserMax: 1 };
    const { port } = await start(new App({ limits }).route("/chat", Members, all));
    const url = `http://127.0.0.1:${port}/chat`;
    await listen(url);
    expect((await ask(url)).status).toBe(429);
    expect((await post(url, 1)).status).toBe(204);
  });
});
