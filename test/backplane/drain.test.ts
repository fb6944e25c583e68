import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../src/client/index.js";
import { App, anonymous, EventHandler, On, type RouteOptions } from "../../src/index.js";
import { closes, Mailbox, start } from "../support/app.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startBalancer } from "./balancer.js";
import { until } from "./cluster.js";

/** The requests that each app has begun to run, and its permission to finish them. */
const logs = new Map<unknown, { readonly ran: number[]; readonly released: Mailbox<true> }>();

function logOf(app: unknown) {
  const log = logs.get(app) ?? { ran: [], released: new Mailbox<true>() };
  logs.set(app, log);
  return log;
}

class Counter extends EventHandler<object, { id: string } | undefined> {
  override authorize() {
    const id = this.query.get("as");
    return id === null ? anonymous : { id };
  }
  @On() async onCount(n: number) {
    const { ran, released } = logOf(this.app);
    ran.push(n);
    await released.have(1);
    return n;
  }
}

/** A room that is closed at the end of the test. */
function connectRoom(port: number, query = "") {
  const room = connect<Counter>(`ws://127.0.0.1:${port}/kept/a${query}`, { WebSocket });
  onTestFinished(() => room.close());
  return room;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
const route: RouteOptions = { history: { size: 1_000 } };

describe("a drain", () => {
  it.skipIf(missing("redis", "requests in a drain"))(
    "runs each request once: those that the old node has on it, with their replies, and the others on the new one",
    async () => {
      const engine = await startEngine("redis");
      const startNode = () => start(new App({ backplane: engine.backplane() }).route("/kept/:name", Counter, route));
      const [old, next] = [await startNode(), await startNode()];
      const balancer = await startBalancer([old]);
      await until(() => old.app.status().ready && next.app.status().ready);
      const room = await connectRoom(balancer.port).opened;
      const firstId = room.id;
      const before = Promise.all(numbers(0, 10).map((n) => room.request("count", n)));
      await until(() => old.app.status().totals.received >= 10);
      balancer.nodes.push(next);
      const drained = old.app.drain({ withinMs: 10_000, settleMs: 10 });
      await until(() => room.id !== firstId);
      logOf(next.app).released.put(true);
      expect(await Promise.all(numbers(10, 30).map((n) => room.request("count", n)))).toEqual(numbers(10, 30));
      expect([old.app.status().connections, room.state]).toEqual([1, "open"]);
      logOf(old.app).released.put(true);
      expect(await before).toEqual(numbers(0, 10));
      expect(await drained).toEqual({ left: 1, remaining: [] });
      expect([logOf(old.app).ran, logOf(next.app).ran]).toEqual([numbers(0, 10), numbers(10, 30)]);
    },
  );

  it("of the only node says who is still there, keeps them connected, and warns", async () => {
    const warnings: string[] = [];
    const logger = { warn: (text: string) => warnings.push(text), error: () => undefined };
    const { app, port } = await start(new App({ logger }).route("/kept/:name", Counter, route));
    logOf(app).released.put(true);
    const room = await connectRoom(port, "?as=ann").opened;
    const states: string[] = [];
    room.on("state", (state) => states.push(state));
    const plain = closes(app, 1);
    const other = new WebSocket(`ws://127.0.0.1:${port}/kept/b`);
    const closed = new Promise((resolve) => other.on("close", resolve));
    await until(() => app.status().connections === 2);
    const remaining = [{ id: room.id, user: { id: "ann" }, path: "/kept/a" }];
    expect(await app.drain({ withinMs: 1_000, settleMs: 10 })).toEqual({ left: 1, remaining });
    await plain;
    expect(await closed).toBe(1012);
    expect(warnings).toEqual([expect.stringContaining("1 of 2 connections had not left 1000 ms after drain()")]);
    expect(app.status()).toMatchObject({ connections: 1, ready: false });
    expect(app.status().totals.refused).toBeGreaterThan(0);
    expect(await room.request("count", 1)).toBe(1);
    expect(states).toEqual([]);
  });
});
