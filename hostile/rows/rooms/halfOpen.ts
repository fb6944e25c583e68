import { FaultyProxy } from "../../../test/faults/faultyProxy.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row } from "../../scene.js";

/**
 * The ping and the end can each be one check late. A client must have a whole interval to answer the ping, so the server
 * cannot end the connection at the check before.
 */
const intervalsMax = 2 + 2 / 16;
const tolerance = "2/16 of an interval: it checks all clients 16 times in one, once for the ping and once for the end";

export const halfOpen: Row = {
  number: 14,
  title: "half-open links",
  expected: "gone within two intervals, one leave each",
  seconds: 120,
  isMostlyWaiting: true,
  async run(scene) {
    const heartbeatMs = scene.pick(25_000, 1_000);
    const server = await scene.start({ limits: scene.pick({}, { heartbeatMs }) });
    const proxy = await FaultyProxy.start(() => server.port);
    scene.finally(() => proxy.stop());
    const count = scene.pick(500, 200);
    const open = async (port: number, user: string) => {
      const client = await RawSocket.openV1(port, `/present/links?user=${user}`);
      client.answersPings = true;
      client.onFrame = () => undefined;
      return client;
    };
    const broken = await openMany(count, (index) => open(proxy.port, `broken-${index}`));
    const whole = await openMany(20, (index) => open(server.port, `whole-${index}`));
    for (const link of proxy.connections) link.silence();
    const start = performance.now();
    const isGone = async () => (await server.status()).connections <= whole.length + 1;
    // The interval in which the link broke has begun before.
    await scene.until("the half-open links are gone", 3 * heartbeatMs, isGone);
    scene.show("tolerance", tolerance);
    scene.timeAtMost(
      "the last was gone after so many intervals",
      (performance.now() - start) / heartbeatMs,
      intervalsMax,
    );
    await scene.until(
      "all have left",
      2_000,
      async () => (await server.room("/present/links")).members === whole.length,
    );
    scene.equal("joins", await server.tally("presence:join"), count + whole.length);
    scene.equal("leaves", await server.tally("presence:leave"), count);
    scene.equal("onClose calls", await server.tally("work:close"), count);
    scene.equal("healthy links that were closed", whole.filter(({ isEnded }) => isEnded).length, 0);
    const users = (await server.room("/present/links")).users.filter((user) => user.startsWith("broken"));
    scene.equal("users who are still present", users, []);
    for (const client of [...broken, ...whole]) client.destroy();
  },
};
