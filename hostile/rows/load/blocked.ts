import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row } from "../../scene.js";

/** Heartbeats that pass while the event loop is blocked: 70 s of 25 s. */
const heartbeats = 2.8;

export const blocked: Row = {
  number: 21,
  title: "our own loop blocked",
  expected: "0 healthy clients closed for it",
  seconds: 400,
  async run(scene) {
    const heartbeatMs = scene.pick(25_000, 500);
    const server = await scene.start({ limits: scene.pick({}, { heartbeatMs }) });
    const clients = await openMany(scene.pick(1_000, 300), async (index) => {
      const client = await RawSocket.open(server.port, `/chat/blocked-${index % 20}`);
      client.answersPings = true;
      return client;
    });
    // Pings are on their way when the loop stops, and when it does not.
    for (const share of [0.3, 1.2]) {
      await scene.last(heartbeatMs * share);
      await server.block(heartbeatMs * heartbeats);
    }
    await scene.last(heartbeatMs * 2.2);
    const ended = clients.filter(({ isEnded }) => isEnded);
    scene.equal("healthy clients that were closed", ended.length, 0);
    scene.equal("connections", (await server.status()).connections, clients.length + 1);
    for (const client of clients) client.destroy();
  },
};
