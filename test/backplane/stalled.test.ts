import { describe, expect, it } from "vitest";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster } from "./cluster.js";

const path = "/kept/a";
const nodeHeartbeatMs = 200;

/** Blocks the event loop of this process, in which all nodes run. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `blocked nodes over ${name}`))(`nodes whose process was blocked, over ${name}`, () => {
    it.each([4, 10])("lose neither each other nor the engine after %i heartbeats", async (intervals) => {
      const cluster = await startCluster(name, 2, { limits: { nodeHeartbeatMs } });
      const [first, second] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
      await first.open(`${path}?user=ann`);
      const watcher = await second.open(path);
      const gone: string[] = [];
      second.app.registry.on("presence", (_room, { left }) => gone.push(...left.map(({ id }) => id)));
      block(intervals * nodeHeartbeatMs);
      await first.app.registry.room(path).publish("after the stall");
      expect(await watcher.readJSON()).toBe("after the stall");
      for (const { errors } of cluster.nodes) expect(errors).toEqual([]);
      expect(gone).toEqual([]);
    });
  });
}
