import { Parser } from "@asyncapi/parser";
import { afterAll, describe, expect, it } from "vitest";
import { Attempts } from "../../example-app/sign-in/attempts.js";
import { ManualClock } from "../../src/testing/index.js";
import { readUntil, startSite } from "./site.js";

const site = await startSite({ operationsToken: "token:of-operations" });
afterAll(() => site.stop());
const { url } = site;
const ann = site.visitor("Ann");

describe("the example over HTTP", () => {
  it("sends the headers that keep text from becoming a script, without exceptions", async () => {
    for (const path of ["/", "/sign-in", "/c/general", "/chat.js", "/api/status", "/nowhere", "/ready"]) {
      const { headers } = await fetch(url + path, { headers: { cookie: `session=${ann.session}` } });
      const policy = headers.get("content-security-policy");
      expect(policy, path).toContain("default-src 'none'; script-src 'self';");
      expect(policy, path).not.toContain("unsafe");
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
    }
  });

  it("sends people who are not signed in to the sign-in page, and refuses their requests to the API", async () => {
    for (const path of ["/", "/c/general", "/messages", "/todos", "/board", "/output", "/asyncapi"]) {
      const { status, headers } = await fetch(url + path, { redirect: "manual" });
      expect([status, headers.get("location")]).toEqual([303, `/sign-in?next=${encodeURIComponent(path)}`]);
    }
    for (const path of ["/me", "/channels", "/status", "/todos"]) {
      expect((await fetch(`${url}/api${path}`)).status, path).toBe(401);
    }
    expect((await fetch(`${url}/api/output`, { method: "POST" })).status).toBe(401);
  });

  it("streams the output of a process to a program that speaks plain HTTP", async () => {
    const output = await startSite({ stepMs: 1 });
    const reader = output.visitor("Bot");
    const headers = { cookie: `session=${reader.session}`, accept: "text/event-stream" };
    const abort = new AbortController();
    const room = `${output.url}/output-of-steps`;
    expect((await fetch(room)).status).toBe(401);
    const stream = await fetch(room, { headers, signal: abort.signal });
    await output.call(reader, "POST", "/output");
    let text = "";
    for await (const part of (stream.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += part;
      if (text.includes('{"type":"ended","code":0}')) break;
    }
    abort.abort();
    expect(text).toContain("Step  1 of 20");
    const history = await fetch(room, { headers: { ...headers, accept: "application/json" } });
    expect(await history.text()).toContain('{"type":"started","by":"Bot"}');
    await output.stop();
  });

  it.each([
    ["no title", {}, "A to-do has 1 to 100 characters."],
    ["an empty title", { title: " " }, "A to-do has 1 to 100 characters."],
    ["too long a title", { title: "x".repeat(101) }, "A to-do has 1 to 100 characters."],
    ["two lines", { title: "a\nb" }, "A to-do has no control characters."],
    ["no object", [], "A to-do is JSON such as"],
  ])("refuses a to-do with %s", async (_what, body, message) => {
    const response = await site.call(ann, "POST", "/todos", body);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringContaining(message) });
  });

  it("refuses more than 100 to-dos, and changes of one that is not there", async () => {
    for (let n = 1; n <= 100; n += 1) await site.call(ann, "POST", "/todos", { title: String(n) });
    expect((await site.call(ann, "POST", "/todos", { title: "101" })).status).toBe(409);
    expect((await site.call(ann, "PATCH", "/todos/nowhere", { isDone: true })).status).toBe(404);
    expect((await site.call(ann, "DELETE", "/todos/nowhere")).status).toBe(404);
  });

  it("refuses a body that is not JSON, and reveals no details", async () => {
    const headers = { "content-type": "application/json", cookie: `session=${ann.session}` };
    const response = await fetch(`${url}/api/todos`, { method: "POST", headers, body: "{" });
    expect(response.status).toBe(400);
    expect(await response.text()).toBe('{"error":"The request cannot be read."}');
  });

  it("reports that it is ready to all, and its figures to operators only", async () => {
    expect((await fetch(`${url}/ready`)).status).toBe(204);
    expect((await fetch(`${url}/health`)).status).toBe(401);
    expect((await fetch(`${url}/health`, { headers: { authorization: "Bearer token" } })).status).toBe(401);
    const answer = await fetch(`${url}/health`, { headers: { authorization: "Bearer token:of-operations" } });
    expect(await answer.json()).toMatchObject({ ready: true, status: { state: "open" } });
  });

  it("gives its metrics and the admin pages to operators only", async () => {
    const bearer = { authorization: "Bearer token:of-operations" };
    const basic = { authorization: `Basic ${Buffer.from("olga:token:of-operations").toString("base64")}` };
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    expect(await (await fetch(`${url}/metrics`, { headers: bearer })).text()).toContain("enfilade_connections ");
    for (const path of ["/admin/", "/admin/api/session"]) {
      const refused = await fetch(url + path, { headers: { cookie: `session=${ann.session}` } });
      expect([refused.status, refused.headers.get("www-authenticate")], path).toEqual([401, 'Basic realm="admin"']);
    }
    const page = await fetch(`${url}/admin/`, { headers: basic });
    expect(await page.text()).toContain("<html");
    expect(page.headers.get("content-security-policy")).not.toContain("unsafe");
    const session = await fetch(`${url}/admin/api/session`, { headers: basic });
    expect(await session.json()).toMatchObject({ operator: "olga" });
    await expect(site.connect("/admin/live", ann)).rejects.toMatchObject({ status: 401 });
  });

  it("publishes its rooms and contracts as a valid AsyncAPI document", async () => {
    const response = await fetch(`${url}/asyncapi.json`);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
    const text = await response.text();
    const { diagnostics } = await new Parser().parse(text);
    expect(diagnostics.filter(({ severity }) => severity === 0)).toEqual([]);
    const { channels, operations } = JSON.parse(text);
    expect(channels).toMatchObject({ people: { address: "/people" }, chat_channel: { address: "/chat/{channel}" } });
    expect(text).not.toContain("/admin/");
    expect(Object.keys(operations)).toEqual(["people.receive.write", "people.send.private"]);
  });

  it("answers 426 to HTTP on a WebSocket path", async () => {
    expect((await fetch(`${url}/chat/general`)).status).toBe(426);
  });
});

describe("the example over a WebSocket", () => {
  it("accepts no client without a session, and no bad channel", async () => {
    for (const path of ["/chat/general", "/people", "/todo-changes", "/boards/main", "/output-of-steps"]) {
      await expect(site.connect(path, { ...ann, session: "" }), path).rejects.toMatchObject({ status: 401 });
    }
    await expect(site.connect("/chat/A%20b", ann)).rejects.toMatchObject({ status: 400 });
  });

  it.each(["{", "7", "null", "{}", '{"text":""}', '{"text":" \\n"}', '{"text":["a"]}', '{"typing":false}'])(
    "answers the bad message %s with an error, and continues",
    async (text) => {
      const client = await site.connect("/chat/bad", ann);
      client.sendText(text);
      const isError = (message: unknown) => Object(message).type === "error";
      expect(await readUntil(client, isError)).toMatchObject({
        message: expect.stringMatching(/^A message (is|has) /),
      });
      client.sendJSON({ text: "hello", id: "forged", name: "Eve", from: { id: "eve", name: "Eve" }, type: "left" });
      const { id, name } = ann;
      const last = await readUntil(client, (message) => Object(message).text === "hello");
      expect(last).toMatchObject({ type: "said", from: { id, name } });
      await client.close();
    },
  );

  it("refuses a private message to a person who is not there", async () => {
    const client = await site.connect("/people", site.visitor("Bob"));
    client.sendJSON({ event: "write", data: { to: "nobody's id", text: "hello" }, id: 1 });
    expect(await client.readJSON()).toEqual({ id: 1, error: { code: "left", message: "This person has left." } });
    client.sendJSON({ event: "write", data: { to: "nobody's id", text: " " }, id: 2 });
    expect(await client.readJSON()).toMatchObject({
      error: { code: "bad_data", issues: [{ path: "text", message: "A message has at least one character." }] },
    });
  });

  it("closes clients that write where they can only read", async () => {
    for (const path of ["/todo-changes", "/boards/main", "/output-of-steps"]) {
      const client = await site.connect(path, ann);
      client.sendText("hello");
      expect(await client.closed, path).toMatchObject({ code: 4505 });
    }
    const board = await site.connect("/boards/main", ann);
    board.sendBinary(new Uint8Array(5));
    expect(await board.closed).toMatchObject({ code: 4505, reason: "a position has 4 bytes" });
  });
});

describe("the limit of attempts", () => {
  it("counts per minute and address, and an IPv6 network as one address", () => {
    const clock = new ManualClock();
    const attempts = new Attempts(2, () => clock.now());
    const take = (address: string) => attempts.take(address);
    expect(["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"].map(take)).toEqual([0, 0, 60, 0]);
    expect(["2001:db8::1", "2001:db8:0:0:f::2", "2001:db8::3", "2001:db8:0:1::1"].map(take)).toEqual([0, 0, 60, 0]);
    clock.advance(59_000);
    expect(take("10.0.0.1")).toBe(1);
    clock.advance(1_000);
    expect(take("10.0.0.1")).toBe(0);
  });
});
