import { upgradeRequest } from "../../../test/support/raw.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

/** Milliseconds that a connection of another client may take while the abuse lasts. */
const connectMs = 1_000;

/** Another client connects, again and again, until the returned function is called. */
function connectMeanwhile(scene: Scene, server: ServerProcess): () => Promise<void> {
  let isOver = false;
  const run = async () => {
    let [count, slowest] = [0, 0];
    while (!isOver) {
      const start = performance.now();
      const client = await RawSocket.open(server.port, "/echo/other");
      slowest = Math.max(slowest, performance.now() - start);
      count += 1;
      client.destroy();
      await scene.last(50);
    }
    scene.atLeast("others that connected meanwhile", count, 1);
    scene.timeAtMost("slowest of them, ms", slowest, connectMs);
  };
  const running = run();
  return () => {
    isOver = true;
    return running;
  };
}

/** Requests whose headers come one byte after another, and never end. */
async function slowHeaders(scene: Scene): Promise<void> {
  const handshakeMs = scene.pick(10_000, 1_000);
  const server = await scene.start({ limits: scene.pick({}, { handshakeMs }) });
  const count = scene.pick(2_000, 300);
  const clients = await openMany(count, () => RawSocket.dial(server.port));
  const start = performance.now();
  const bytes = upgradeRequest("/echo/slow", { Cookie: "c".repeat(2_000) });
  const stop = connectMeanwhile(scene, server);
  let at = 0;
  while (performance.now() < start + handshakeMs + 2_000 && clients.some(({ isEnded }) => !isEnded)) {
    for (const client of clients) client.write(bytes.slice(at, at + 1));
    at += 1;
    await scene.last(handshakeMs / 50);
  }
  scene.equal("slow headers: cut", clients.filter(({ isEnded }) => isEnded).length, count);
  const last = Math.max(...clients.map(({ endedAt }) => endedAt)) - start;
  // Node.js looks for late requests at an interval of its own.
  scene.timeAtMost("slow headers: the last was cut after, ms", last, handshakeMs + 1_000);
  await stop();
  for (const client of clients) client.destroy();
}

/** Handshakes whose `authorize` does not answer. A third of the clients reset, and a third end their side. */
async function hungAuthorize(scene: Scene): Promise<void> {
  const authorizeMs = scene.pick(5_000, 2_000);
  const server = await scene.start({ limits: scene.pick({}, { authorizeMs }) });
  const count = scene.pick(1_000, 300);
  const clients = await openMany(count, async () => {
    const client = await RawSocket.dial(server.port);
    client.write(upgradeRequest("/hung/a"));
    return client;
  });
  const start = performance.now();
  await scene.until("all of them are in authorize", 2_000, async () => (await server.tally("hung:asked")) === count);
  const stop = connectMeanwhile(scene, server);
  for (const [index, { socket }] of clients.entries()) {
    if (index % 3 === 0) socket.resetAndDestroy();
    if (index % 3 === 1) socket.end();
  }
  const staying = Math.floor(count / 3);
  const freedMs = await scene.until("the places of reset and ended clients are free within 500 ms", 500, async () => {
    return (await server.status()).handshakes <= staying + 1;
  });
  scene.show("hung authorize: places free after, ms", freedMs);
  const aborted = await server.tally("hung:aborted");
  scene.atLeast("hung authorize: signals aborted", aborted, count - staying - 1);
  await scene.until("the others are refused", authorizeMs + 2_000, () => clients.every(({ isEnded }) => isEnded));
  const statuses = clients.filter((_, index) => index % 3 === 2).map(({ head }) => head.slice(9, 12));
  scene.equal("hung authorize: the answers", [...new Set(statuses)], ["503"]);
  scene.timeAtMost("hung authorize: the last was cut after, ms", performance.now() - start, 10_000);
  await stop();
  await scene.until("no handshake is left", 2_000, async () => (await server.status()).handshakes === 0);
}

export const openings: Row = {
  number: 6,
  title: "slow headers, hung authorize",
  expected: "cut in 10 s, places freed at once, others connect meanwhile",
  seconds: 90,
  async run(scene) {
    await Promise.all([slowHeaders(scene), hungAuthorize(scene)]);
  },
};
