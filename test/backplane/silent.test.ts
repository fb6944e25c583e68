import { describe, expect, it } from "vitest";
import { ManualClock } from "../../src/testing/index.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { startCluster } from "./cluster.js";

const backplaneMs = 1_000;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `a silent engine, ${name}`))(`an engine that falls silent, over ${name}`, () => {
    it("is given up backplaneMs after it was asked, however recently it answered before", async () => {
      const clock = new ManualClock();
      const limits = { backplaneMs, nodeHeartbeatMs: 100 * backplaneMs };
      const cluster = await startCluster(name, 0, { app: { clock }, limits });
      const proxy = await startProxy(cluster.engine?.port ?? 0);
      const { app } = await cluster.add(`${name}://127.0.0.1:${proxy.port}`);
      const room = app.registry.room("/plain/a");
      await room.publish("answered");
      clock.advance(0.9 * backplaneMs);
      proxy.stall();
      const failure = room.publish("not answered").catch((error: unknown) => error);
      await nextTurn();
      clock.advance(backplaneMs - 1);
      expect(app.status().backplane.state).toBe("up");
      clock.advance(1);
      expect(await failure).toMatchObject({ code: "ERR_BACKPLANE", message: expect.stringContaining("not answer") });
    });
  });
}
