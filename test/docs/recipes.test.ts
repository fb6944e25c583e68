import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { App, type TrustProxy, WebSocketHandler } from "../../src/index.js";
import { defaultLimits } from "../../src/server/limits.js";
import { connectURL, type TestClient } from "../../src/testing/index.js";
import { ChromiumClient } from "../foreign/chromium.js";
import { launchBrowser } from "../support/browser.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { freePort } from "../support/ports.js";
import { rawClient, upgradeRequest } from "../support/raw.js";
import { examplesOf, type Ports, writeExamples } from "./examples.js";
import { type Program, startExample } from "./programs.js";
import { makeReaderProject, removeReaderProject } from "./readerProject.js";
import { blockOf, haproxy, nginx, page } from "./reverseProxies.js";

const folder = "docs/deployment";

let project = "";

beforeAll(async () => {
  project = await makeReaderProject();
}, 120_000);

afterAll(() => removeReaderProject(project));

interface Running extends Program {
  readonly port: number;
}

/** Starts an example of the page on a free port. */
async function start(file: string, more: Ports = {}): Promise<Running> {
  const port = await freePort();
  const [example] = examplesOf(page).filter((one) => one.file === `${folder}/${file}`);
  if (example === undefined) throw new Error(`the page has no example ${file}`);
  await writeExamples(project, [example], { ...more, 8000: port });
  return { ...(await startExample(project, example.file)), port };
}

class Source extends WebSocketHandler {
  override onConnect() {
    const { remoteAddress, secure, host } = this.request;
    this.sendJSON([remoteAddress, secure, host]);
  }
  onMessage() {
    this.close();
  }
}

/** An app with `trustProxy`, on a server that answers health checks; returns the port. */
async function startBehindProxy(trustProxy: TrustProxy): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(204).end());
  const app = new App({ trustProxy, limits: { connectionsPerAddressMax: 1 } }).route("/x", Source).attach(server);
  onTestFinished(async () => {
    await app.close();
    server.close();
  });
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return port;
}

/** Fields that a client makes up, to look like another one. */
const forged = {
  "X-Forwarded-For": "6.6.6.6, 127.0.0.1",
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": "evil.example",
  Forwarded: "for=6.6.6.6;proto=https;host=evil.example",
};

describe.each([nginx, haproxy])("trustProxy behind $name", ({ name, start: startProxy }) => {
  it.skipIf(missing(name, `trustProxy behind ${name}`)).each<[trust: TrustProxy, address: string]>([
    [1, "127.0.0.2"],
    [["127.0.0.1"], "127.0.0.2"],
    [false, "127.0.0.1"],
  ])("(%j) finds %s, for any headers that the client sends", async (trustProxy, address) => {
    const proxy = await startProxy(await startBehindProxy(trustProxy));
    const expected = JSON.stringify([address, false, "app.example"]);
    const headersOf = { plain: {}, forged };
    for (const headers of Object.values(headersOf)) {
      const client = await rawClient(proxy, "127.0.0.2");
      client.socket.write(upgradeRequest("/x", { Host: "app.example", ...headers }));
      await client.received(expected);
      // Another client from the same address is over the limit, with any headers.
      const second = await rawClient(proxy, "127.0.0.2");
      second.socket.write(upgradeRequest("/x", { Host: "app.example", ...forged }));
      await second.received("HTTP/1.1 429");
      client.socket.destroy();
      await client.ended;
    }
  });
});

describe.each([nginx, haproxy])("the configuration of $name", ({ name, timeout, start: startProxy }) => {
  const left = missing(name, `the configuration of ${name}`) || missing("chromium", `a page behind ${name}`);

  it.skipIf(left)("lets a page connect, send and receive", async () => {
    const { port } = await start("server.ts");
    const proxy = await startProxy(port);
    const client = new ChromiumClient();
    onTestFinished(() => client.quit());
    const chat = await client.connectFrom(`http://localhost:${proxy}/`, `ws://localhost:${proxy}/chat/general`);
    chat.sendText('"hello"');
    expect(await chat.inbox.nextJSON()).toMatchObject({ message: "hello" });
    expect((await fetch(`http://localhost:${proxy}/ready`)).status).toBe(204);
  });

  it.skipIf(left)("does not hide the origin of a page from the app", async () => {
    const { port } = await start("server.ts");
    const proxy = await startProxy(port);
    const from = (origin: string) => connectURL(`ws://localhost:${proxy}/chat/general`, { headers: { origin } });
    await expect(from("http://evil.example")).rejects.toMatchObject({ status: 403 });
    await expect(from(`http://localhost:${port}`)).rejects.toMatchObject({ status: 403 });
    (await from(`http://localhost:${proxy}`)).close();
  });

  it("keeps a connection longer than the heartbeat is silent", () => {
    const [, minutes] = timeout.exec(blockOf(name)) ?? [];
    expect(Number(minutes) * 60_000).toBeGreaterThan(2 * Number(defaultLimits.heartbeatMs));
  });
});

it.skipIf(missing("nginx", "a Host that is lost"))("needs the Host header to be passed on by nginx", async () => {
  const { port } = await start("server.ts");
  const proxy = await nginx.start(port, (config) => config.replace(/^ *proxy_set_header Host .*\n/m, ""));
  const headers = { origin: `http://localhost:${proxy}` };
  await expect(connectURL(`ws://localhost:${proxy}/chat/general`, { headers })).rejects.toMatchObject({ status: 403 });
});

it.skipIf(missing("nginx", "a drain behind nginx"))(
  "sends clients to another node while one drains behind nginx",
  async () => {
    const [old, next] = [await start("server.ts"), await start("server.ts")];
    const proxy = await nginx.start(old.port, (config) =>
      config.replace(/^( *server )127.0.0.1:\d+(.*)\n/m, (line, before, after) => {
        return `${line}${before}127.0.0.1:${next.port}${after}\n`;
      }),
    );
    const ann = await connectWith(old.port, {});
    const ended = old.stop();
    while ((await fetch(`http://localhost:${old.port}/ready`)).status === 204);
    for (let n = 0; n < 6; n += 1) (await connectWith(proxy, {})).terminate();
    expect(await ann.closed).toMatchObject({ code: 1012 });
    expect(await ended).toMatchObject({ code: 0 });
  },
);

/** Logs in over HTTP and returns the cookie. */
async function login(port: number, name: string): Promise<string> {
  const response = await fetch(`http://localhost:${port}/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name }),
  });
  expect(response.status).toBe(204);
  const [cookie = ""] = response.headers.getSetCookie();
  expect(cookie).toMatch(/; HttpOnly/);
  return cookie.split(";")[0] ?? "";
}

function connectWith(port: number, headers: Readonly<Record<string, string>>): Promise<TestClient> {
  return connectURL(`ws://localhost:${port}/chat/general`, { headers });
}

describe.each(["session.ts", "fastify.ts"])("the recipe %s", (file) => {
  it("accepts a client with the cookie of its login, and refuses others", async () => {
    const { port } = await start(file);
    await expect(connectWith(port, {})).rejects.toMatchObject({ status: 401 });
    const cookie = await login(port, "Ann");
    const forged = cookie.replace(/=.*/, "=forged");
    await expect(connectWith(port, { cookie: forged })).rejects.toMatchObject({ status: 401 });
    const origin = "http://evil.example";
    await expect(connectWith(port, { cookie, origin })).rejects.toMatchObject({ status: 403 });
    const [ann, bob] = [
      await connectWith(port, { cookie }),
      await connectWith(port, { cookie: await login(port, "Bob") }),
    ];
    bob.sendJSON("hello");
    expect(await ann.readJSON()).toEqual({ from: "Bob", message: "hello" });
  });

  it("closes its clients with 1001 when it is stopped, and ends", async () => {
    const { port, stop } = await start(file);
    const ann = await connectWith(port, { cookie: await login(port, "Ann") });
    const ended = stop();
    expect(await ann.closed).toMatchObject({ code: 1001 });
    expect(await ended).toEqual({ code: 0, signal: null, stderr: "" });
  });

  it("closes the clients of a user who logs out", async () => {
    const { port } = await start(file);
    const cookie = await login(port, "Ann");
    const ann = await connectWith(port, { cookie });
    await fetch(`http://localhost:${port}/logout`, { method: "POST", headers: { cookie } });
    expect(await ann.closed).toMatchObject({ code: 4501 });
    await expect(connectWith(port, { cookie })).rejects.toMatchObject({ status: 401 });
  });
});

it.skipIf(missing("chromium", "a page that logs in"))(
  "has a page that logs in and connects with its cookie",
  async () => {
    await mkdir(join(project, folder, "public"), { recursive: true });
    await writeFile(join(project, folder, "public/index.html"), blockOf("html"));
    const { port } = await start("session.ts");
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const tab = await browser.newPage();
    await tab.goto(`http://localhost:${port}/`);
    await tab.getByLabel("Name").fill("Ann");
    await tab.getByRole("button").click();
    await tab.getByText('{"from":"Ann","message":"hello"}').waitFor();
  },
);

describe("the recipe server.ts", () => {
  it("is ready until it is stopped, then closes its plain clients with 1012 and ends", async () => {
    const { port, stop } = await start("server.ts");
    const paths = ["/live", "/ready", "/chat/general", "/nowhere"];
    const statuses = paths.map(async (path) => (await fetch(`http://localhost:${port}${path}`)).status);
    expect(await Promise.all(statuses)).toEqual([204, 204, 426, 404]);
    const ann = await connectWith(port, {});
    const ended = stop();
    while ((await fetch(`http://localhost:${port}/ready`)).status === 204);
    await expect(connectWith(port, {})).rejects.toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    expect(await ann.closed).toMatchObject({ code: 1012 });
    expect(await ended).toEqual({ code: 0, signal: null, stderr: "" });
  });
});

it.skipIf(missing("redis", "workers of node:cluster"))("shares rooms among the workers of one machine", async () => {
  const { port: redis } = await startEngine("redis");
  const { port, stop } = await start("cluster.ts", { 6379: redis });
  // The workers get connections in turn. A worker receives from others when its own message has come back.
  const ann = await connectWith(port, {});
  ann.sendJSON(1);
  expect(await ann.readJSON()).toMatchObject({ message: 1 });
  const bob = await connectWith(port, {});
  bob.sendJSON(2);
  for (const client of [ann, bob]) expect(await client.readJSON()).toMatchObject({ message: 2 });
  ann.sendJSON(3);
  expect(await bob.readJSON()).toMatchObject({ message: 3 });
  const ended = stop();
  for (const client of [ann, bob]) expect(await client.closed).toMatchObject({ code: 1001 });
  expect(await ended).toEqual({ code: 0, signal: null, stderr: "" });
});
