import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, get, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, HttpError, WebSocketHandler } from "../../src/index.js";
import { start as startApp } from "../support/app.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { freePort } from "../support/ports.js";
import { patient, type Running, run, start } from "./process.js";

interface Finding {
  readonly level: string;
  readonly text: string;
  readonly advice?: string;
}

/** A folder with these files until the end of the test. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "enfilade-doctor-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

const peerDependencies = {
  ioredis: "^5.9.0 || ^6.0.0",
  jose: "^6.2.0",
  "@nats-io/jetstream": "^3.4.0",
  react: "^19.0.0",
};

/** A project with packages of these versions. */
function project(versions: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}) {
  const packages = Object.entries(versions).map(([name, version]) => {
    const own = name === "enfilade" && { dependencies: { ws: "^8.23.0" }, peerDependencies };
    return [`node_modules/${name}/package.json`, JSON.stringify({ version, ...own })] as const;
  });
  return folderWith({ "package.json": '{"type":"module"}', ...Object.fromEntries(packages), ...files });
}

/** The findings of a run, and its exit code. */
async function examine(folder: string, ...args: string[]): Promise<{ code: number | null; findings: Finding[] }> {
  return findingsOf(start(["doctor", "--json", ...args], { folder, input: "" }));
}

async function findingsOf(running: Running): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, out, err } = await running.result;
  if (out === "") throw new Error(err);
  return { code, findings: JSON.parse(out).findings };
}

const good = { enfilade: "0.1.0", ws: "8.23.0" };

describe("enfilade doctor", patient, () => {
  it("finds no problem in a good project, and prints a line for each check", async () => {
    const folder = await project({ ...good, ioredis: "6.1.2" });
    const { code, out } = await run(["doctor"], { folder });
    expect(out).toMatch(/^ok {7}Node\.js \d+/);
    expect(out).toContain("ok       ws 8.23.0\n");
    expect(out).toContain("ok       ioredis 6.1.2, for enfilade/redis\n");
    expect(out).toContain("ok       jose is not installed; only enfilade/tickets needs it\n");
    expect(out).toContain("ok       react is not installed; only enfilade/react needs it\n");
    expect(out).not.toMatch(/^(warning|problem)/m);
    expect(code).toBe(0);
  });

  it("finds packages that are missing or of a wrong version", async () => {
    const folder = await project({ enfilade: "0.0.7", ioredis: "4.28.5", jose: "7.0.1" }, { "package.json": "{}" });
    const { code, findings } = await examine(folder);
    const bad = findings.filter(({ level }) => level !== "ok").map(({ level, text }) => `${level}: ${text}`);
    expect(bad).toEqual([
      expect.stringMatching(/^warning: enfilade 0\.0\.7 is installed, and this command is /),
      "warning: package.json has not the type module, and enfilade is an ES module",
      "problem: ws ^8.23.0 is not installed",
      "problem: ioredis 4.28.5 is not in the range ^5.9.0 || ^6.0.0 of enfilade/redis",
      "problem: jose 7.0.1 is not in the range ^6.2.0 of enfilade/tickets",
    ]);
    expect(code).toBe(1);
  });

  it("only warns in a folder without a project", async () => {
    const { code, findings } = await examine(await folderWith({}));
    const warnings = findings.filter(({ level }) => level === "warning").map(({ text }) => text);
    expect(warnings).toEqual(["enfilade is not installed in this folder", "this folder has no readable package.json"]);
    expect(code).toBe(0);
  });

  it.each([
    ["{}", "ok", "standard decorators"],
    ['{"compilerOptions": {"experimentalDecorators": true}}', "ok", "legacy decorators (experimentalDecorators)"],
    ['{"compilerOptions": {"emitDecoratorMetadata": true}}', "problem", "emitDecoratorMetadata works only with"],
    ['{"compilerOptions": {"target": "ESNext",}, /* "x": // */}', "warning", "with the target esnext"],
    ['{"compilerOptions": {"erasableSyntaxOnly": true}}', "ok", "erasableSyntaxOnly"],
    ['{"extends": "./base", "compilerOptions": {"outDir": "a//b,}"}}', "ok", "legacy decorators; enfilade does not"],
    ['{"extends": ["base-config", "./base.json"]}', "ok", "legacy decorators; enfilade does not"],
    ['{"extends": "./tsconfig.json"}', "warning", "tsconfig.json cannot be read: more than 10 files"],
    ['{"extends": "nowhere"}', "warning", "tsconfig.json cannot be read: it extends nowhere"],
    ["{", "warning", "tsconfig.json cannot be read: "],
  ])("reads how decorators are compiled from %s", async (text, level, finding) => {
    const folder = await project(good, {
      "tsconfig.json": text,
      "base.json": '{"compilerOptions": {"experimentalDecorators": true, "emitDecoratorMetadata": true}}',
      "node_modules/base-config/tsconfig.json": '{"compilerOptions": {"target": "esnext"}}',
    });
    const { findings } = await examine(folder);
    expect(findings.at(-1)).toMatchObject({ level, text: expect.stringContaining(finding) });
  });
});

describe("enfilade doctor, with an engine", patient, () => {
  it.skipIf(missing("redis", "enfilade doctor --redis"))("connects to Redis", async () => {
    const { url } = await startEngine("redis");
    const { code, findings } = await examine(await project(good), "--redis", url);
    expect(findings.at(-1)).toMatchObject({ level: "ok", text: expect.stringMatching(/^redis at .* delivers, in \d/) });
    expect(code).toBe(0);
  });

  it.skipIf(missing("nats", "enfilade doctor --nats"))("connects to NATS", async () => {
    const { url } = await startEngine("nats");
    const { code, findings } = await examine(await project(good), "--nats", url);
    expect(findings.at(-1)).toMatchObject({ level: "ok", text: expect.stringMatching(/^nats at .* delivers, in \d/) });
    expect(code).toBe(0);
  });

  it.each([
    ["--redis", "redis://ann:secret@127.0.0.1:1", "ECONNREFUSED"],
    ["--nats", "nats://ann:secret@127.0.0.1:1", "cannot be reached"],
    ["--redis", "http://ann:secret@127.0.0.1:1", "redis() takes a URL"],
  ])("finds a problem with %s %s, and keeps the password to itself", async (option, url, text) => {
    const { code, findings } = await examine(await project(good), option, url);
    expect(findings.at(-1)).toMatchObject({ level: "problem", text: expect.stringContaining(text) });
    expect(JSON.stringify(findings)).not.toContain("secret");
    expect(code).toBe(1);
  });
});

class Quiet extends WebSocketHandler {
  override onMessage(): void {
    this.close();
  }
}

class Locked extends Quiet {
  override authorize(): never {
    throw new HttpError(401);
  }
}

describe("enfilade doctor --url", patient, () => {
  it("explains how an app answers a handshake", async () => {
    const { url } = await startApp(new App().route("/open", Quiet).route("/locked", Locked));
    const folder = await project(good);
    const open = await examine(folder, "--url", `${url}/open`);
    expect(open.findings.at(-1)).toMatchObject({
      level: "ok",
      text: `${url}/open speaks enfilade.v1; timeouts of proxies must be above 25000 ms`,
    });
    const locked = await examine(folder, "--url", `${url}/locked`);
    expect(locked.findings.at(-1)).toMatchObject({ level: "warning", text: expect.stringContaining("4501") });
    const other = await examine(folder, "--url", `${url}/other`);
    expect(other.findings.at(-1)).toMatchObject({ level: "warning", text: expect.stringContaining("4504 not found") });
  });

  it.each([
    [426, "the proxy removed Upgrade and Connection"],
    [502, "the proxy does not reach the app"],
    [301, "this is a redirect"],
  ])("explains the status %i", async (status, advice) => {
    const server = createServer((_request, response) => void response.writeHead(status).end());
    server.on("upgrade", (_request, socket) => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    // A server that listens on a port has this address.
    const { port } = server.address() as AddressInfo;
    const { code, findings } = await examine(await project(good), "--url", `http://127.0.0.1:${port}/`);
    expect(findings.at(-1)).toMatchObject({ level: "problem", advice: expect.stringContaining(advice) });
    expect(code).toBe(1);
  });
});

const handshake = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** The findings about a handshake with these fields, as a proxy passes it on. */
async function handshakeFindings(fields: Readonly<Record<string, string>>, ...args: string[]): Promise<Finding[]> {
  const folder = await project(good);
  const running = start(["doctor", "--json", "--listen", "0", "--host", "127.0.0.1", ...args], { folder, input: "" });
  await running.until((_out, err) => err.includes("port "));
  const [, port] = /port (\d+)/.exec(running.err) ?? [];
  // A check of the proxy's own is no handshake.
  await new Promise((resolve) => get(`http://127.0.0.1:${port}/ready`, (response) => resolve(response.resume())));
  const sent = request(`http://127.0.0.1:${port}/chat`, { headers: fields });
  sent.on("error", () => undefined);
  sent.end();
  return (await findingsOf(running)).findings.slice(-7).filter(({ text }) => !/Node|installed|decorators/.test(text));
}

describe("enfilade doctor --listen", patient, () => {
  it("shows the fields of a proxy, and the number for trustProxy", async () => {
    const findings = await handshakeFindings({
      ...handshake,
      host: "example.com",
      "x-forwarded-for": "192.0.2.7, 10.0.0.2",
      "x-forwarded-proto": "https",
    });
    expect(findings.slice(-5)).toEqual([
      { level: "ok", text: "Upgrade and Connection arrive" },
      { level: "ok", text: "Host arrives as example.com" },
      { level: "ok", text: "x-forwarded-for arrives: 192.0.2.7, 10.0.0.2" },
      { level: "ok", text: "x-forwarded-proto arrives: https" },
      { level: "ok", text: "set trustProxy: 2; the client is then 192.0.2.7, with TLS" },
    ]);
  });

  it("finds a proxy that removes the fields of the upgrade", async () => {
    const { connection, upgrade, ...rest } = handshake;
    const findings = await handshakeFindings({ ...rest, forwarded: "for=192.0.2.7;proto=http" });
    expect(findings).toContainEqual(
      expect.objectContaining({ level: "problem", text: "the proxy removed Upgrade and Connection" }),
    );
    expect(findings.at(-1)).toMatchObject({ text: "set trustProxy: 1; the client is then 192.0.2.7, without TLS" });
  });

  it("finds fields that do not say who the client is", async () => {
    const hidden = await handshakeFindings({ ...handshake, forwarded: "for=unknown" });
    expect(hidden.at(-1)).toMatchObject({ level: "warning", advice: expect.stringContaining("is no address") });
    const both = await handshakeFindings({ ...handshake, forwarded: "for=192.0.2.7", "x-forwarded-for": "192.0.2.8" });
    expect(both.at(-1)).toMatchObject({
      level: "warning",
      advice: expect.stringContaining("let the proxy remove one"),
    });
  });

  it("connects by itself with --url, and finds that there is no proxy", async () => {
    const port = await freePort();
    const args = ["--listen", String(port), "--host", "127.0.0.1", "--url", `http://127.0.0.1:${port}/chat/a`];
    const { code, findings } = await examine(await project(good), ...args);
    expect(findings.slice(-3)).toEqual([
      { level: "ok", text: "Upgrade and Connection arrive" },
      { level: "ok", text: `Host arrives as 127.0.0.1:${port}` },
      expect.objectContaining({ level: "warning", text: "no proxy says who the client is; it would be 127.0.0.1" }),
    ]);
    expect(code).toBe(0);
  });

  it("exits with 130 when it is interrupted, without a problem", async () => {
    const running = start(["doctor", "--json", "--listen", "0", "--host", "127.0.0.1"], {
      folder: await project(good),
    });
    await running.until((_out, err) => err.includes("port "));
    running.signal("SIGINT");
    const { code, out } = await running.result;
    expect([code, out]).toEqual([130, expect.not.stringContaining('"problem"')]);
  });

  it("finds a port that is in use, and a handshake that does not arrive", async () => {
    const { port } = await startApp(new App());
    const taken = await run(["doctor", "--listen", String(port), "--host", "127.0.0.1"], {
      folder: await project(good),
    });
    expect(taken.err).toContain(`enfilade: port ${port} is in use; stop the app, or choose another port\n`);
    expect(taken.code).toBe(1);
    const late = await examine(await project(good), "--listen", "0", "--wait", "1");
    expect(late.findings.at(-1)).toMatchObject({ level: "problem", text: expect.stringContaining("within 1 s") });
  });
});
