import { describe, expect, it } from "vitest";
import { missing } from "../support/parts.js";
import { startCluster } from "./cluster.js";

const clientsPerNode = 30;
const publications = 10_000;
/** Publications of one node in flight at the same time. */
const width = 20;

describe.each(["redis", "nats"] as const)("one room over %s", (name) => {
  it.skipIf(missing(name, `the ${name} backplane`))(
    "shows 10,000 publications of three nodes in the same order to 30 clients on each node",
    async () => {
      const { nodes } = await startCluster(name, 3);
      const clients = await Promise.all(
        nodes.flatMap((node) => Array.from({ length: clientsPerNode }, () => node.open("/kept/order"))),
      );
      const listening = clients.map(async (client) => {
        const received: number[] = [];
        while (received.length < publications) received.push(Number(await client.readText()));
        return received;
      });
      const order = new Map<number, number>();
      let next = 0;
      const publisher = async (index: number) => {
        for (let n = next++; n < publications; n = next++) {
          const position = await nodes[index % nodes.length]?.app.registry.room("/kept/order").publish(n);
          order.set(position?.offset ?? -1, n);
        }
      };
      await Promise.all(Array.from({ length: width * nodes.length }, (_, index) => publisher(index)));
      const expected = Array.from({ length: publications }, (_, index) => order.get(index + 1));
      for (const received of await Promise.all(listening)) expect(received).toEqual(expected);
      expect(nodes.map(({ app }) => app.status().backplane)).toMatchObject(nodes.map(() => ({ lagged: 0 })));
    },
    60_000,
  );
});
