import { describe, expect, it } from "vitest";
import { App, WebSocketHandler } from "../../src/index.js";
import { type DelayHistogram, LoopDelayMonitor } from "../../src/server/diagnostics/loopDelay.js";
import { ManualClock } from "../../src/testing/index.js";
import { startCluster, until } from "../backplane/cluster.js";
import { start } from "../support/app.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** A histogram with values in milliseconds that the test sets. Those of Node include the interval of its samples. */
class FakeHistogram implements DelayHistogram {
  values: readonly [p50: number, p99: number, max: number] = [0, 0, 0];
  resets = 0;
  isRunning = true;
  percentile(percentile: number): number {
    return 1e6 * (this.values[percentile === 50 ? 0 : 1] + 10);
  }
  get max(): number {
    return 1e6 * (this.values[2] + 10);
  }
  reset(): void {
    this.resets += 1;
  }
  disable(): void {
    this.isRunning = false;
  }
}

describe("app.health()", () => {
  it("is ready with its connections and memory, until the app drains or closes", async () => {
    const { app, open } = await start(new App().route("/echo", Echo));
    await open("/echo");
    const report = await app.health();
    const { backplane, connections } = app.status();
    expect(report).toMatchObject({ ready: true, backplane, connections, loopDelayMs: { p50: 0, p99: 0, max: 0 } });
    expect(connections).toBe(1);
    for (const bytes of Object.values(report.memory)) expect(bytes).toBeGreaterThan(0);
    const drained = app.drain();
    expect((await app.health()).ready).toBe(false);
    await app.close();
    await drained;
    expect(await app.health()).toMatchObject({ ready: false, connections: 0, loopDelayMs: { max: 0 } });
  });

  for (const name of ["redis", "nats"] as const) {
    it.skipIf(missing(name, `the health of an app over ${name}`))(
      `is not ready while ${name} hangs, although the connection stays open, and ready again after it`,
      async () => {
        // An engine that hangs is noticed by its missing answers only after this time.
        const limits = { nodeHeartbeatMs: 600_000, backplaneMs: 600_000 };
        const cluster = await startCluster(name, 0, { limits });
        const proxy = await startProxy(cluster.engine?.port ?? 0);
        const url = cluster.engine?.url.replace(/:\d+$/, `:${proxy.port}`);
        const { app } = await cluster.add(url);
        await until(() => app.status().ready);
        expect(await app.health()).toMatchObject({ ready: true, backplane: { engine: name, state: "up" } });
        proxy.stall();
        const [first, second] = await Promise.all([app.health(), app.health()]);
        expect(first).toMatchObject({ ready: false, backplane: { state: "away" } });
        expect(second?.ready).toBe(false);
        expect(app.status().ready).toBe(true);
        proxy.open();
        expect((await app.health()).ready).toBe(true);
      },
    );
  }

  it("is not ready while the engine cannot be reached at all", async () => {
    const { redis } = await import("../../src/redis/index.js");
    const app = new App({ backplane: redis("redis://127.0.0.1:1"), logger: { warn: () => 1, error: () => 1 } });
    expect(await app.health()).toMatchObject({ ready: false, backplane: { state: "away" } });
    await app.close();
  });
});

describe("the delay of the event loop", () => {
  it("is measured from the first reading on, and is that of the last interval of a second or more", () => {
    const clock = new ManualClock();
    const histograms: FakeHistogram[] = [];
    const monitor = new LoopDelayMonitor(clock, () => {
      const histogram = new FakeHistogram();
      histograms.push(histogram);
      return histogram;
    });
    expect(histograms).toHaveLength(0);
    expect(monitor.read()).toEqual({ p50: 0, p99: 0, max: 0 });
    const [histogram] = histograms;
    if (histogram === undefined) throw new Error("the first reading starts the histogram");
    histogram.values = [1, 20, 300];
    clock.advance(999);
    expect(monitor.read()).toEqual({ p50: 0, p99: 0, max: 0 });
    clock.advance(1);
    expect(monitor.read()).toEqual({ p50: 1, p99: 20, max: 300 });
    expect(histogram.resets).toBe(1);
    histogram.values = [-5, 0, 2];
    expect(monitor.read().max).toBe(300);
    clock.advance(60_000);
    expect(monitor.read()).toEqual({ p50: 0, p99: 0, max: 2 });
    monitor.stop();
    expect([histograms.length, histogram.isRunning]).toEqual([1, false]);
  });
});

describe("publish() on a closed app", () => {
  it("rejects with ERR_APP_STATE, and so does drain()", async () => {
    const { app } = await start(new App().route("/echo", Echo));
    await app.registry.room("/echo").publish("before");
    await app.close();
    const closed = { code: "ERR_APP_STATE", message: expect.stringMatching(/the app is closed/) };
    await expect(app.registry.room("/echo").publish("after")).rejects.toMatchObject(closed);
    await expect(app.drain()).rejects.toMatchObject(closed);
  });
});
