import { describe, expect, it } from "vitest";
import { waitFor } from "../faults/clusterRun.js";
import { missing } from "../support/parts.js";
import { SequenceClient } from "../support/sequenceClient.js";
import { nodeOf, startCluster } from "./cluster.js";

const path = "/kept/a";
/** An option of a send: the publication with an id that was used before is not published again. */
const withId = (id: string): object => ({ id });

for (const name of ["memory", "redis", "nats"] as const) {
  const isSkipped = name !== "memory" && missing(name, `ids of publications over ${name}`);
  describe.skipIf(isSkipped)(`publish(value, { id }) over ${name}`, () => {
    const start = async () => {
      const cluster = await startCluster(name, name === "memory" ? 1 : 2);
      const clients = await Promise.all(
        cluster.nodes.map(({ port }) => SequenceClient.open(`ws://127.0.0.1:${port}${path}`)),
      );
      const rooms = cluster.nodes.map(({ app }) => app.registry.room(path));
      const room = nodeOf(cluster, 0).app.registry.room(path);
      const other = rooms.at(-1) ?? room;
      const allHave = async (ids: readonly string[]) => {
        await waitFor("all have the last", () => clients.every((one) => one.has(ids.at(-1) ?? "")));
        for (const one of clients) expect({ ids: one.ids, lost: one.lost }).toEqual({ ids, lost: [] });
        expect((await other.history()).map(({ data }) => data)).toEqual(ids);
      };
      const elsewhere = nodeOf(cluster, 0).app.registry.room("/kept/elsewhere");
      return { room, other, elsewhere, allHave };
    };

    it("publishes once, and resolves with the same position when it is called again", async () => {
      const { room, allHave } = await start();
      const first = await room.publish("first", withId("x"));
      await room.publish("second", withId("y"));
      expect(await room.publish("first", withId("x"))).toEqual(first);
      expect(await room.publish("last")).toEqual({ epoch: first?.epoch, offset: 3 });
      await allHave(["first", "second", "last"]);
    });

    it("publishes once when several calls are under way, on any node", async () => {
      const { room, other, allHave } = await start();
      const calls = [room, room, other, other].map((one) => one.publish("first", withId("x")));
      const positions = await Promise.all(calls);
      for (const position of positions) expect(position).toEqual(positions[0]);
      expect(await other.publish("first", withId("x"))).toEqual(positions[0]);
      await other.publish("last", withId("z"));
      await allHave(["first", "last"]);
    });

    it("recognises a call among others of the same tick", async () => {
      const { room, allHave } = await start();
      const ids = ["a", "b", "a", "c", "b"];
      const positions = await Promise.all(ids.map((id) => room.publish(`value ${id}`, withId(id))));
      expect(positions.map((position) => position?.offset)).toEqual([1, 2, 1, 3, 2]);
      await room.publish("last");
      await allHave(["value a", "value b", "value c", "last"]);
    });

    it("recognises the id, whatever is sent, and keeps the ids of two rooms apart", async () => {
      const { room, elsewhere, allHave } = await start();
      const first = await room.publish("first", withId("x"));
      expect(await room.publishText("other", withId("x"))).toEqual(first);
      expect(await elsewhere.publish("elsewhere", withId("x"))).toMatchObject({ offset: 1 });
      expect((await elsewhere.history()).map(({ data }) => data)).toEqual(["elsewhere"]);
      expect(await room.publish("last")).toMatchObject({ offset: 2 });
      await allHave(["first", "last"]);
    });
  });
}
