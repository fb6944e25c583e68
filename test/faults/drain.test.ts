import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectSocket, createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../src/client/index.js";
import type { DrainResult } from "../../src/index.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import type { Command, Report } from "./drainNode.js";

const script = fileURLToPath(new URL("drainNode.ts", import.meta.url));

/** `npm run test:faults` sets FAULT_RUNS to 200. The other test runs have less time. */
const isLarge = Number(process.env.FAULT_RUNS ?? 0) >= 200;
const { clients, rooms, withinMs, rushMax } = isLarge
  ? { clients: 2_000, rooms: 100, withinMs: 30_000, rushMax: 2 }
  : { clients: 300, rooms: 30, withinMs: 6_000, rushMax: 3 };
const loopP99MsMax = 50;

/** A node in a process of its own. */
class NodeProcess {
  readonly #child;
  readonly #lines;

  constructor(url: string) {
    this.#child = spawn(process.execPath, ["--import", "tsx", script, url], { stdio: ["pipe", "pipe", "inherit"] });
    onTestFinished(() => void this.#child.kill("SIGKILL"));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line, which answers the oldest command without an answer. */
  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the node has ended");
    return JSON.parse(value);
  }

  async run(command: Command): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    return this.next();
  }
}

/** Forwards each connection to one of the nodes that were ready at the last check. */
async function startCheckingBalancer(ports: readonly number[]) {
  const nodes = ports.map((port) => ({ port, isReady: true }));
  let turn = 0;
  const server = createServer((near) => {
    const ready = nodes.filter(({ isReady }) => isReady);
    const far = connectSocket(ready[turn++ % ready.length]?.port ?? 0, "127.0.0.1");
    near.on("error", () => far.destroy()).pipe(far);
    far.on("error", () => near.destroy()).pipe(near);
  });
  const check = async (node: (typeof nodes)[number]) => {
    node.isReady = (await fetch(`http://127.0.0.1:${node.port}/`)).ok;
  };
  const checks = setInterval(() => void Promise.all(nodes.map(check)), 200);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    clearInterval(checks);
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");
  return { port: address.port, add: (port: number) => nodes.push({ port, isReady: true }) };
}

/** A client, and what happened to it. */
class TestUser {
  readonly received: unknown[] = [];
  readonly problems: unknown[] = [];
  readonly room;

  constructor(port: number, index: number) {
    this.room = connect(`ws://127.0.0.1:${port}/kept/${index % rooms}`, { WebSocket });
    this.room.on("message", ({ data }) => this.received.push(data));
    this.room.on("lost", (lost) => this.problems.push(lost));
    this.room.on("error", (error) => this.problems.push(error));
    this.room.on("state", (state, detail) => state === "waiting" && this.problems.push(detail));
    onTestFinished(() => this.room.close());
  }
}

it.skipIf(missing("redis", "drains over Redis"))(
  `a drain of ${clients} clients within ${withinMs} ms loses nothing, and gives the other node no rush`,
  async () => {
    const { url } = await startEngine("redis");
    const old = new NodeProcess(url);
    const balancer = await startCheckingBalancer([Number(await old.next())]);
    const users = Array.from({ length: clients }, (_, index) => new TestUser(balancer.port, index));
    await Promise.all(users.map(({ room }) => room.opened));
    const next = new NodeProcess(url);
    balancer.add(Number(await next.next()));
    await next.run({ do: "publish", rooms, intervalMs: 1_000 / rooms });
    await next.run({ do: "watch" });

    const result = await old.run({ do: "drain", options: { withinMs } });
    const { perSecond, p99Ms, maxMs } = (await next.run({ do: "report" })) as Report;
    const published = Number(await next.run({ do: "stop" }));
    const publishedTo = (index: number) => Math.floor((published - 1 - (index % rooms)) / rooms) + 1;
    await Promise.all(users.map(({ room, received }, index) => hasAll(room, received, publishedTo(index))));
    console.log(
      `${clients} clients drained within ${withinMs} ms: ${perSecond.join(" ")} per second; ` +
        `event loop of the receiving node: p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms`,
    );

    expect(result).toEqual({ left: clients, remaining: [] } satisfies DrainResult);
    expect(users.flatMap(({ problems }) => problems)).toEqual([]);
    const wrong = users.filter(({ received }) => received.some((value, index) => value !== index));
    expect(wrong).toEqual([]);
    expect(perSecond.reduce((sum, count) => sum + count, 0)).toBe(clients);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual((rushMax * clients) / (withinMs / 1_000));
    if (isLarge) expect(p99Ms).toBeLessThan(loopP99MsMax);
  },
  120_000,
);

/** Resolves when a client has received this number of messages. */
async function hasAll(room: TestUser["room"], received: readonly unknown[], count: number): Promise<void> {
  while (received.length < count)
    await new Promise<void>((resolve) => room.on("message", () => resolve(), { once: true }));
}
