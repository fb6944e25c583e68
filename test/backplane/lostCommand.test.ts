import { Cluster } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, WebSocketHandler } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { startRedisCluster } from "../support/engines.js";
import { missing } from "../support/parts.js";

class Kept extends WebSocketHandler {
  onMessage() {
    // Nobody sends here.
  }
}

/** A client of a cluster that can lose a command: without an answer, while others are answered. */
class ForgetfulCluster extends Cluster {
  static losesNext = false;

  override sendCommand(...[command, ...rest]: Parameters<Cluster["sendCommand"]>): unknown {
    if (!ForgetfulCluster.losesNext || !/^eval/i.test(command.name)) return super.sendCommand(command, ...rest);
    ForgetfulCluster.losesNext = false;
    return command.promise;
  }

  override duplicate(...[, options]: Parameters<Cluster["duplicate"]>): Cluster {
    // The options have no mapping of replies, which the constructor has another type for.
    return new ForgetfulCluster(seeds, options as never);
  }
}

let seeds: { host: string; port: number }[] = [];

describe.skipIf(missing("redis", "a lost command of a Redis cluster"))(
  "a publication that a cluster never answers",
  () => {
    it("rejects, though other publications are answered, and the room goes on", async () => {
      const engine = await startRedisCluster();
      if (engine.address.kind !== "redis-cluster") throw new Error("it is a cluster");
      seeds = engine.address.ports.map((port) => ({ host: "127.0.0.1", port }));
      const source = new ForgetfulCluster(seeds, { lazyConnect: true });
      onTestFinished(() => source.disconnect());
      const app = new App({ backplane: redis(source), limits: { backplaneMs: 250 } });
      onTestFinished(() => app.close());
      app.route("/kept/:name", Kept, { history: { size: 10 } });
      await app.listen(0, "127.0.0.1");
      const room = app.registry.room("/kept/one");
      await room.publish("first");
      ForgetfulCluster.losesNext = true;
      let isSettled = false;
      const lost = room.publish("lost").finally(() => {
        isSettled = true;
      });
      const expected = expect(lost).rejects.toMatchObject({
        code: "ERR_BACKPLANE",
        message: expect.stringContaining("did not answer it within 1000 ms, but others"),
      });
      let answered = 0;
      while (!isSettled) {
        await app.registry.room("/kept/other").publish(answered);
        answered += 1;
      }
      await expected;
      expect(answered).toBeGreaterThan(10);
      expect(await room.publish("next")).toMatchObject({ offset: 2 });
    });
  },
);
