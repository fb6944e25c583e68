import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { Sessions } from "../../example-app/sign-in/sessions.js";
import { missing } from "../support/parts.js";
import { callWith, connectWith, readUntil, startSite, visitorOf } from "./site.js";

const secret = "a secret of tests, 32 characters or more";
const sessions = new Sessions(secret);

describe("npm start", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
    scripts: { start: string; "start:cluster": string };
  };

  /** Runs the command as npm does. A shell in between would not forward the signal. */
  function npmStart(port: number | string, script = scripts.start, variables = {}): ChildProcess {
    const path = `${root}node_modules/.bin${delimiter}${process.env.PATH}`;
    const command = `exec ${script.replace(/^exec /, "")}`;
    const env = { ...process.env, PATH: path, PORT: String(port), SESSION_SECRET: secret, ...variables };
    const child = spawn("sh", ["-c", command], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  }

  async function linesOf(stream: NodeJS.ReadableStream | null): Promise<string[]> {
    const lines: string[] = [];
    if (stream !== null) for await (const line of createInterface({ input: stream })) lines.push(line);
    return lines;
  }

  it.each(["SIGTERM", "SIGINT"] as const)("prints its URL, serves there, and ends with 0 on %s", async (signal) => {
    const child = npmStart(0);
    const complaints = linesOf(child.stderr);
    const exited = once(child, "exit");
    const lines: string[] = [];
    if (child.stdout === null) throw new Error("it has no output");
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      const [url = ""] = /http:\S+/.exec(line) ?? [];
      expect(await (await fetch(url)).text()).toContain("<title>Sign in – Enfilade example</title>");
      const ann = await connectWith(url, "chat/general", visitorOf(sessions, "Ann").session);
      child.kill(signal);
      expect(await ann.closed).toMatchObject({ code: 1001 });
    }
    expect(await exited).toEqual([0, null]);
    expect(await complaints).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(/^The example is at http:\/\/localhost:\d+\/$/)]);
  });

  it.skipIf(missing("redis", "the example app on many processes"))(
    "runs many processes on one port with shared rooms, and ends them all with 0",
    async () => {
      const child = npmStart(0, scripts["start:cluster"], { WORKERS: "3" });
      const complaints = linesOf(child.stderr);
      const exited = once(child, "exit");
      if (child.stdout === null) throw new Error("it has no output");
      for await (const line of createInterface({ input: child.stdout })) {
        expect(line).toMatch(/^The example is at http:\/\/localhost:\d+\/, on 3 processes$/);
        const [url = ""] = /http:[^,]+/.exec(line) ?? [];
        const visitors = ["Ann", "Bob", "Cy", "Dan"].map((name) => visitorOf(sessions, name));
        // New connections are distributed to the processes in turn.
        const people = await Promise.all(visitors.map(({ session }) => connectWith(url, "chat/general", session)));
        const [{ session } = { session: "" }] = visitors;
        people[0]?.sendJSON({ text: "to all of us" });
        for (const person of people) {
          const message = await readUntil(person, (message) => Object(message).text === "to all of us");
          expect(message).toMatchObject({ type: "said", from: { name: "Ann" } });
        }
        const call = (method: string, path: string, body?: unknown) =>
          callWith(url.replace(/\/$/, ""), session, method, path, body);
        const added = await (await call("POST", "/todos", { title: "for all processes" })).json();
        for (const _process of people) expect(await (await call("GET", "/todos")).json()).toEqual([added]);
        const status = async () => (await call("GET", "/status")).json() as Promise<{ backplane: { nodes: number } }>;
        while ((await status()).backplane.nodes < 3) expect(await status()).toMatchObject({ ready: true });
        expect(await status()).toMatchObject({ ready: true, backplane: { engine: "redis", nodes: 3 } });
        child.kill("SIGTERM");
        for (const person of people) expect(await person.closed).toMatchObject({ code: 1001 });
      }
      expect(await exited).toEqual([0, null]);
      expect(await complaints).toEqual([]);
    },
  );

  it("reports clearly that redis-server did not start, and ends with 1", async () => {
    const args = ["--import", "tsx", "example-app/cluster.ts"];
    const env = { ...process.env, PATH: "/nowhere", PORT: "0", REDIS_URL: undefined };
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit");
    expect(await linesOf(child.stderr)).toEqual([expect.stringMatching(/^redis-server did not start .*REDIS_URL/)]);
    expect(await exited).toEqual([1, null]);
  });

  it("reports clearly that a port is taken", async () => {
    const site = await startSite();
    onTestFinished(() => site.stop());
    const { port } = new URL(site.url);
    const child = npmStart(port);
    const exited = once(child, "exit");
    expect(await linesOf(child.stderr)).toEqual([expect.stringContaining(`Port ${port} is taken.`)]);
    expect(await exited).toEqual([1, null]);
  });

  it.each([
    [{ SESSION_SECRET: "short" }, /SESSION_SECRET must have at least 32 characters, got 5\./],
    [{ OIDC_ISSUER: "https://id.example" }, /Set all of OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET/],
  ])("reports clearly that it cannot start with %o", async (variables, complaint) => {
    const child = npmStart(0, scripts.start, variables);
    const exited = once(child, "exit");
    expect(await linesOf(child.stderr)).toEqual([expect.stringMatching(complaint)]);
    expect(await exited).toEqual([1, null]);
  });
});
