import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect as connectSocket, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, type SignalOptions } from "../../src/index.js";
import { connectURL, type TestClient } from "../../src/testing/index.js";
import { Mailbox } from "../support/app.js";
import { end } from "../support/engineProcess.js";
import { startEngine } from "../support/engines.js";
import { NodeProcess } from "../support/nodeProcess.js";
import { missing } from "../support/parts.js";
import { SequenceClient } from "../support/sequenceClient.js";
import type { SignalReport, SignalSettings } from "../support/signalMain.js";

const script = fileURLToPath(new URL("../support/signalMain.ts", import.meta.url));

/** An app in a process of its own, with one client. */
class SignalledApp {
  readonly #exited: Promise<[code: number | null, signal: string | null]>;

  private constructor(
    readonly child: ChildProcess,
    readonly reports: Mailbox<SignalReport>,
    readonly client: TestClient,
  ) {
    this.#exited = once(child, "exit") as Promise<[code: number | null, signal: string | null]>;
  }

  static async start(settings: SignalSettings): Promise<SignalledApp> {
    const child = fork(script, [JSON.stringify(settings)], {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    onTestFinished(() => end(child));
    const reports = new Mailbox<SignalReport>();
    child.on("message", (report: SignalReport) => reports.put(report));
    const [first] = await reports.have(1);
    const port = first?.kind === "port" ? first.port : 0;
    return new SignalledApp(child, reports, await connectURL(`ws://127.0.0.1:${port}/busy`));
  }

  /** The exit code, and the signal that ended the process. */
  get exited(): Promise<[code: number | null, signal: string | null]> {
    return this.#exited;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

describe("handleSignals()", () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "on %s sends what was sent before, closes with 1001, waits for hooks and onClosed, and exits with 0",
    async (signal) => {
      const app = await SignalledApp.start({ options: {} });
      app.client.sendText("go");
      const first = await app.client.readText();
      app.kill(signal);
      const texts = [first];
      for await (const message of app.client) texts.push(message.text);
      expect(texts).toHaveLength(501);
      expect(texts.at(-1)).toBe("sent");
      expect((await app.client.closed).code).toBe(1001);
      expect(await app.exited).toEqual([0, null]);
      expect(app.reports.all.at(-1)).toEqual({ kind: "closed", hooks: 1, state: "closed", ready: false });
    },
  );

  it.each(["onClose", "onMessage"] as const)("exits with 1 at the deadline if %s never ends", async (fault) => {
    const app = await SignalledApp.start({ options: { timeoutMs: 300 }, fault });
    app.client.sendText("go");
    app.kill("SIGTERM");
    expect((await app.client.closed).code).toBe(1001);
    expect(await app.exited).toEqual([1, null]);
    expect(app.reports.all.at(-1)).toMatchObject({ kind: "closed", state: "closed" });
  });

  it("exits with 1 if onClosed throws", async () => {
    const app = await SignalledApp.start({ options: {}, fault: "onClosed" });
    app.kill("SIGTERM");
    expect(await app.exited).toEqual([1, null]);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("exits at once with 128 and its number on a second signal, %s", async (second, code) => {
    const app = await SignalledApp.start({ options: { timeoutMs: 600_000 }, fault: "onClose" });
    app.kill("SIGTERM");
    expect((await app.client.closed).code).toBe(1001);
    app.kill(second);
    expect(await app.exited).toEqual([code, null]);
  });

  it("listens to the given signals only, and to none after its result was called", async () => {
    const other = await SignalledApp.start({ options: { signals: ["SIGUSR2"] } });
    other.kill("SIGUSR2");
    expect(await other.exited).toEqual([0, null]);
    for (const settings of [{ options: { signals: ["SIGUSR2"] } }, { options: {}, isRemoved: true }] as const) {
      const app = await SignalledApp.start(settings);
      app.kill("SIGTERM");
      expect(await app.exited).toEqual([null, "SIGTERM"]);
    }
  });

  it("is refused a second time, until its result was called, and on a closed app", async () => {
    const app = new App();
    const count = process.listenerCount("SIGTERM");
    const remove = app.handleSignals();
    expect(process.listenerCount("SIGTERM")).toBe(count + 1);
    expect(() => app.handleSignals()).toThrow(expect.objectContaining({ code: "ERR_APP_STATE" }));
    remove();
    remove();
    app.handleSignals()();
    expect(process.listenerCount("SIGTERM")).toBe(count);
    await app.close();
    expect(() => app.handleSignals()).toThrow(expect.objectContaining({ code: "ERR_APP_STATE" }));
  });

  it.each<[options: object, problem: RegExp]>([
    [{ timeout: 1 }, /handleSignals\(\) has no option "timeout"|timeoutMs/],
    [{ signals: "SIGTERM" }, /signals .* got SIGTERM/],
    [{ signals: ["SIGKILL"] }, /signals .* got \["SIGKILL"\]/],
    [{ signals: ["toString"] }, /signals/],
    [{ withinMs: -1 }, /withinMs .* got -1/],
    [{ withinMs: Number.NaN }, /withinMs .* got NaN/],
    [{ settleMs: 10 }, /settleMs .* got 10/],
    [{ withinMs: 1_000, settleMs: 1_000 }, /settleMs .* got 1000/],
    [{ timeoutMs: 0 }, /timeoutMs .* got 0/],
    [{ timeoutMs: "1s" }, /timeoutMs .* got 1s/],
    [{ onClosed: {} }, /onClosed .* got \{\}/],
  ])("refuses %j", (options, problem) => {
    const handle = () => new App().handleSignals(options as SignalOptions);
    expect(handle).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    expect(handle).toThrow(problem);
  });

  it.skipIf(missing("redis", "a signal in a cluster"))(
    "moves clients of enfilade.v1 to another node, with every publication once and in order",
    async () => {
      const engine = await startEngine("redis");
      const routes = { "/kept/:name": { history: { size: 10_000 } } };
      const settings = { engine: engine.address, routes, signals: { withinMs: 5_000, settleMs: 50 } };
      const [old, next] = [await NodeProcess.start(settings), await NodeProcess.start(settings)];
      const balancer = await startSwitch(old.port);
      const open = (n: number) => SequenceClient.open(`ws://127.0.0.1:${balancer.port}/kept/a`, `client ${n}`);
      const clients = await Promise.all(Array.from({ length: 20 }, (_, n) => open(n)));
      const states: string[] = [];
      for (const { room } of clients) room.on("state", (state) => states.push(state));
      await next.startPublishing({ path: "/kept/a", name: "p", perSecond: 200 });
      await clients[0]?.have(20);
      balancer.use(next.port);
      expect(await old.signal("SIGTERM")).toBe(0);
      await next.rest();
      await next.publish("/kept/a", "the end");
      const expected = [...(await next.history("/kept/a"))];
      for (const client of clients) {
        await client.gets("the end");
        expect(client.ids).toEqual(expected);
        expect([client.lost, client.faults]).toEqual([[], []]);
      }
      expect(await next.status()).toMatchObject({ connections: clients.length });
      // Each client has connected to the new node before it left the old one.
      expect(states).toEqual([]);
    },
  );
});

/** Forwards each new connection to one port. */
async function startSwitch(first: number): Promise<{ readonly port: number; use(port: number): void }> {
  let target = first;
  const server = createServer((near) => {
    const far = connectSocket(target, "127.0.0.1");
    near.on("error", () => far.destroy()).pipe(far);
    far.on("error", () => near.destroy()).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");
  const use = (port: number) => {
    target = port;
  };
  return { port: address.port, use };
}
