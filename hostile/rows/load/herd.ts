import { connect } from "../../../src/client/index.js";
import { inParallel } from "../../clients/rawSocket.js";
import { TrackedSocket, trackedSockets } from "../../clients/trackedSocket.js";
import type { Row } from "../../scene.js";

const backMs = 15_000;

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
    const received = new Array<number>(count).fill(0);
    await inParallel(count, 100, async (index) => {
      // The class of ws has more than the client needs of a WebSocket, with other types.
      const room = connect(server.url(`/kept/herd-${index % 50}`), { WebSocket: TrackedSocket as never });
      room.on("recovered", () => {
        recovered += 1;
      });
      room.on("lost", () => {
        lost += 1;
      });
      room.on("message", () => {
        received[index] = (received[index] ?? 0) + 1;
      });
      room.on("error", (error) => scene.fail(`expected no error of a client, came ${error}`));
      scene.finally(() => room.close());
      await room.opened;
    });
    const start = performance.now();
    for (const socket of trackedSockets) socket.terminate();
    const rooms = Array.from({ length: 50 }, (_, index) => `/kept/herd-${index}`);
    // At the same time: this process is busy with the clients, and may get the answers only when all are back.
    const published = rooms.map((path) => server.ask({ do: "publish", path, text: "at the cut" }));
    const areBack = () => recovered >= count && received.every((messages) => messages > 0);
    const back = scene.until("all are back and recovered", backMs, areBack).then(() => performance.now() - start);
    const [ms] = await Promise.all([back, ...published]);
    scene.show("clients", count);
    scene.timeAtMost("all back and recovered after, ms", ms, backMs);
    scene.equal("recovered, lost", [recovered, lost], [count, 0]);
    scene.equal(
      "clients that did not get the message exactly once",
      received.filter((messages) => messages !== 1).length,
      0,
    );
  },
};
