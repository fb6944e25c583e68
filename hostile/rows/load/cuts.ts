import { connect } from "../../../src/client/index.js";
import { CheckingClient } from "../../../test/faults/checkingClient.js";
import { FaultyProxy } from "../../../test/faults/faultyProxy.js";
import { inParallel } from "../../clients/rawSocket.js";
import { TrackedSocket, trackedSockets } from "../../clients/trackedSocket.js";
import type { Row } from "../../scene.js";

/** How much faster the clocks of the clients are, so that they come back sooner. A busy machine answers late. */
const haste = 5;
const clock = {
  now: () => haste * performance.now(),
  setTimeout(callback: () => void, ms: number) {
    const timer = setTimeout(callback, ms / haste);
    return { cancel: () => clearTimeout(timer) };
  },
};
const cutEachMs = 20;
const backMs = 15_000;

/** Our clients behind a proxy that breaks their connections, on both sides and within frames. */
export const cuts: Row = {
  number: 15,
  title: "our clients, cut again and again",
  expected: "all deliveries once and in order, or reported",
  seconds: 900,
  async run(scene) {
    const server = await scene.start();
    const proxy = await FaultyProxy.start(() => server.port);
    scene.finally(() => proxy.stop());
    const paths = Array.from({ length: 10 }, (_, index) => `/kept/cuts-${index}`);
    const clients = new Map<CheckingClient, string>();
    await inParallel(scene.pick(1_000, 60), 50, async (index) => {
      const path = paths[index % paths.length] ?? "/kept/none";
      const url = `ws://127.0.0.1:${proxy.port}${path}?user=user-${index}`;
      const client = new CheckingClient(url, () => scene.dice.roll(), `client ${index}`, clock);
      clients.set(client, path);
      await client.room.opened;
    });
    scene.finally(() => {
      for (const { room } of clients.keys()) room.close();
    });
    await server.startPublishing({ paths, perSecond: scene.pick(200, 300), padding: 0 });
    let cut = 0;
    const wanted = scene.pick(5_000, 150);
    while (cut < wanted) {
      const link = scene.dice.of([...proxy.connections]);
      if (scene.dice.roll() < 0.5) link?.reset();
      else link?.cutAfter(scene.dice.from(1, 400));
      if (link !== undefined) cut += 1;
      await scene.last(cutEachMs);
    }
    const sent = await server.stopPublishing();
    const deliveries = [...clients.values()].reduce((sum, path) => sum + (sent[path] ?? 0), 0);
    const all = Promise.all([...clients].map(([client, path]) => client.reaches(sent[path] ?? 0)));
    let isThere = false;
    void all.then(() => {
      isThere = true;
    });
    await scene.until("every client has the last message", 30_000, () => isThere);
    scene.show("cuts", cut);
    scene.show("deliveries", deliveries);
    const reports = [...clients.keys()].map((client) => client.reports);
    scene.show(
      "recoveries",
      reports.reduce((sum, { recovered }) => sum + recovered, 0),
    );
    scene.show("losses reported", new Set(reports.flatMap(({ lost }) => [...lost])).size);
    const faults = [...clients.keys()].flatMap((client) => client.faults);
    scene.equal("messages lost, repeated or out of order", faults.slice(0, 5), []);
  },
};

/** All clients lose their connection at the same moment. */
export const herd: Row = {
  number: 18,
  title: "all clients cut at once",
  expected: "all back and recovered in 15 s",
  seconds: 180,
  async run(scene) {
    const server = await scene.start();
    const count = scene.pick(10_000, 400);
    let [recovered, lost] = [0, 0];
    await inParallel(count, 100, async (index) => {
      // The class of ws has more than the client needs of a WebSocket, with other types.
      const room = connect(server.url(`/kept/herd-${index % 50}`), { WebSocket: TrackedSocket as never });
      room.on("recovered", () => {
        recovered += 1;
      });
      room.on("lost", () => {
        lost += 1;
      });
      room.on("error", (error) => scene.fail(`expected no error of a client, came ${error}`));
      scene.finally(() => room.close());
      await room.opened;
    });
    for (const socket of trackedSockets) socket.terminate();
    for (let index = 0; index < 50; index += 1) {
      await server.ask({ do: "publish", path: `/kept/herd-${index}`, text: "while they are away" });
    }
    const ms = await scene.until("all are back and recovered", backMs, () => recovered >= count);
    scene.show("clients", count);
    scene.timeAtMost("all back and recovered after, ms", ms, backMs);
    scene.equal("recovered, lost", [recovered, lost], [count, 0]);
  },
};
