import { describe, expect, it } from "vitest";
import { missing } from "../support/parts.js";
import { SlowClient } from "../support/slowClient.js";
import { nodeOf, startCluster, until } from "./cluster.js";

const count = 5_000;

describe.each(["memory", "redis", "nats"] as const)("a client of a room over %s", (name) => {
  it.skipIf(name !== "memory" && missing(name, `the ${name} backplane`))(
    "gets each publication once and in order, however slowly it reads, and however much it missed",
    async () => {
      const limits = { recoverMessagesMax: 100, highWaterBytes: 2_000, outboxBytesMax: 50_000 };
      const cluster = await startCluster(name, name === "memory" ? 1 : 2, { limits });
      const [{ app }, publishing] = [nodeOf(cluster, 0), nodeOf(cluster, cluster.nodes.length - 1)];
      const room = publishing.app.registry.room("/kept/slow");
      const slow = new SlowClient(app, "/kept/slow");
      const [welcome] = await slow.frames.have(1);
      const publications = Array.from({ length: count }, (_, n) => room.publish(n + 1));
      await Promise.all(publications);
      await until(() => app.status().totals.behind === 1);
      const resuming = new SlowClient(app, `/kept/slow?since=${welcome?.position?.epoch}:0`);
      const numbers = ({ frames }: SlowClient) => frames.all.flatMap(({ offset, data }) => (offset ? [data] : []));
      for (const client of [slow, resuming]) {
        client.readAll();
        await until(() => numbers(client).length >= count);
        expect(numbers(client)).toEqual(Array.from({ length: count }, (_, n) => n + 1));
        expect(client.closes.all).toEqual([]);
        // A frame with `missed: 0` only has the position of the first epoch.
        expect(client.frames.all.filter(({ type, missed }) => type === "lagged" && missed !== 0)).toEqual([]);
      }
      expect(resuming.frames.all[0]).toMatchObject({ recovered: true });
      await room.publish("live");
      await until(() => [slow, resuming].every((client) => numbers(client).at(-1) === "live"));
      expect(numbers(slow)).toHaveLength(count + 1);
    },
    60_000,
  );
});
