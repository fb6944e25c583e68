import { describe, expect, it } from "vitest";
import { AttentiveClock, AttentiveClocks } from "../../../src/connection/watch/attentiveClock.js";
import { Watches, type WatchOwner } from "../../../src/connection/watch/watch.js";
import { App, defaultLimits, WebSocketHandler } from "../../../src/index.js";
import { SlowClient } from "../../support/slowClient.js";
import { StallingClock } from "../../support/stallingClock.js";

const beatMs = 100;

function startClock() {
  const clock = new StallingClock();
  const fired: number[] = [];
  const attentive = new AttentiveClock(clock, beatMs);
  return { clock, attentive, fired, fire: () => fired.push(clock.now()) };
}

describe("the attentive clock", () => {
  it("is the clock of the process as long as that is not blocked", () => {
    const { clock, attentive, fired, fire } = startClock();
    attentive.setTimeout(fire, 1_000);
    clock.advance(999);
    expect([attentive.now(), fired]).toEqual([999, []]);
    clock.advance(1);
    expect([attentive.now(), fired]).toEqual([1_000, [1_000]]);
  });

  it("counts at most one beat of a stall", async () => {
    const { clock, attentive, fired, fire } = startClock();
    attentive.setTimeout(fire, 1_000);
    clock.advance(30);
    await clock.stall(70_000);
    expect(attentive.now()).toBe(beatMs);
    clock.advance(1_000 - beatMs - 1);
    expect(fired).toEqual([]);
    clock.advance(1);
    expect(fired).toEqual([70_030 + 1_000 - beatMs]);
  });

  it("fires a late timer only after the sockets were read", async () => {
    const { clock, attentive, fired, fire } = startClock();
    attentive.setTimeout(fire, 50);
    const stalled = clock.stall(60);
    expect(fired).toEqual([]);
    await stalled;
    expect(fired).toEqual([60]);
  });

  it("does not fire a late timer that is cancelled when the sockets are read", async () => {
    const { clock, attentive, fired, fire } = startClock();
    const timer = attentive.setTimeout(fire, 50);
    const stalled = clock.stall(60);
    timer.cancel();
    timer.cancel();
    await stalled;
    expect(fired).toEqual([]);
  });

  it("sets no timer of its own while none is pending", () => {
    const { clock, attentive, fire } = startClock();
    const timer = attentive.setTimeout(fire, 1_000);
    clock.advance(beatMs / 2);
    timer.cancel();
    clock.setTimeout = () => expect.fail("a timer was set");
    clock.advance(10_000);
    expect(attentive.now()).toBe(10_000 + beatMs / 2);
  });

  it("is as precise as the shortest deadline of the route needs, and shared by routes", () => {
    const clocks = new AttentiveClocks(new StallingClock());
    expect(clocks.of(defaultLimits)).toBe(clocks.of({ ...defaultLimits, heartbeatMs: false }));
    expect(clocks.of(defaultLimits)).not.toBe(clocks.of({ ...defaultLimits, heartbeatMs: 200 }));
  });
});

const heartbeatMs = 1_000;
const messageMs = 400;

class Client implements WatchOwner {
  readonly events: string[] = [];
  receivedBytes = 0;
  unfinishedBytes: number | undefined;
  ping() {
    this.events.push("ping");
  }
  onLost() {
    this.events.push("lost");
  }
  onMessageOverdue() {
    this.events.push("overdue");
  }
}

function watchOne() {
  const clock = new StallingClock();
  const client = new Client();
  const watches = new Watches(new AttentiveClock(clock, beatMs), { heartbeatMs, messageMs });
  return { clock, client, watch: watches.watch(client) };
}

describe("a stall of the process", () => {
  it("ends no connection without a ping, and leaves a whole interval to answer it", async () => {
    const { clock, client, watch } = watchOne();
    await clock.stall(70 * heartbeatMs);
    expect(client.events).toEqual([]);
    clock.advance(heartbeatMs);
    expect(client.events).toEqual(["ping"]);
    await clock.stall(70 * heartbeatMs);
    expect(client.events).toEqual(["ping"]);
    watch.onControlFrame();
    clock.advance(heartbeatMs);
    expect(client.events).toEqual(["ping", "ping"]);
    clock.advance(heartbeatMs);
    expect(client.events).toEqual(["ping", "ping", "lost"]);
  });

  it("leaves a whole interval to answer even if the clock did not notice it", async () => {
    const clock = new StallingClock();
    const client = new Client();
    new Watches(clock, { heartbeatMs, messageMs }).watch(client);
    await clock.stall(1.5 * heartbeatMs);
    expect(client.events).toEqual(["ping"]);
    clock.advance(heartbeatMs - 1);
    expect(client.events).toEqual(["ping"]);
    clock.advance(1);
    expect(client.events).toEqual(["ping", "lost"]);
  });

  it("does not make the message of a client overdue", async () => {
    const { clock, client } = watchOne();
    client.unfinishedBytes = 1;
    clock.advance(messageMs / 2);
    await clock.stall(10 * messageMs);
    expect(client.events).toEqual([]);
    clock.advance(messageMs);
    expect(client.events).toContain("overdue");
  });

  it("does not age the messages of a client that lags", async () => {
    class Quiet extends WebSocketHandler {
      onMessage() {
        this.close();
      }
    }
    const clock = new StallingClock();
    const outboxAgeMsMax = 1_000;
    const limits = { outboxAgeMsMax, highWaterBytes: 10, heartbeatMs: false } as const;
    await using app = new App({ clock, limits }).route("/quiet", Quiet);
    const client = new SlowClient(app, "/quiet", "");
    const [connection] = app.registry.connections;
    connection?.sendJSON("x".repeat(100));
    await new Promise((resolve) => setImmediate(resolve));
    connection?.sendJSON("waits");
    await new Promise((resolve) => setImmediate(resolve));
    await clock.stall(10 * outboxAgeMsMax);
    expect(client.closes.all).toEqual([]);
    clock.advance(outboxAgeMsMax);
    expect(client.closes.all).toEqual([4008]);
  });
});
