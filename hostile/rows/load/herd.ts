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
