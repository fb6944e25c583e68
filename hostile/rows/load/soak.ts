import { jsonFrame, textFrame } from "../../clients/frames.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
const samples = 10;
const kinds = ["echo", "chat", "kept", "squeezed"] as const;

/** A client that sends now and then, and is sometimes replaced by another one. */
async function live(scene: Scene, server: ServerProcess, index: number, until: number): Promise<number> {
  const { dice } = scene;
  const kind = kinds[index % kinds.length] ?? "echo";
  const isV1 = kind === "kept";
  const open = async () => {
    const target = `/${kind}/soak-${dice.from(0, 50)}?user=user-${index}`;
    const client = isV1 ? await RawSocket.openV1(server.port, target) : await RawSocket.open(server.port, target);
    client.answersPings = true;
    client.onFrame = () => undefined;
    return client;
  };
  let client = await open();
  let steps = 0;
  for (; performance.now() < until; steps += 1) {
    const roll = dice.roll();
    if (roll < 0.03) {
      if (roll < 0.01) client.socket.resetAndDestroy();
      client.destroy();
      client = await open();
    } else if (isV1) client.write(jsonFrame({ type: "event", event: "say", data: `text ${steps}`, id: steps }));
    else if (roll < 0.04) client.write(Buffer.from([0xff, 0xff]));
    else client.write(textFrame(`text ${steps}`));
    await scene.last(dice.from(500, 1_500));
    // The server has closed it for a frame that is none.
    if (client.isEnded) client = await open();
  }
  client.destroy();
  return steps;
}

export const soak: Row = {
  number: 23,
  title: "soak",
  expected: "memory slope about 0, figures printed",
  seconds: 1_500,
  isMostlyWaiting: true,
  async run(scene) {
    const server = await scene.start();
    const count = scene.pick(2_000, 100);
    const ms = scene.pick(20 * 60_000, 5_000);
    const warm = await openMany(50, (index) => RawSocket.open(server.port, `/echo/warm-${index}`));
    for (const client of warm) client.destroy();
    const until = performance.now() + ms;
    const clients = Array.from({ length: count }, (_, index) => live(scene, server, index, until));
    const heaps: number[] = [];
    for (let n = 0; n < samples; n += 1) {
      await scene.last(ms / samples);
      const { heap, rss, cpuMs } = await server.measure();
      heaps.push(heap / MB);
      if (n === samples - 1) {
        scene.show("resident memory, MB", rss / MB);
        scene.show("CPU, s", cpuMs / 1_000);
      }
    }
    const steps = (await Promise.all(clients)).reduce((sum, one) => sum + one, 0);
    scene.show("messages and reconnects", steps);
    scene.show("heap, MB", heaps.map((heap) => heap.toFixed(1)).join(" "));
    // The first half fills histories and caches, up to their limits.
    const [middle = 0, last = 0] = [heaps[samples / 2], heaps.at(-1)];
    scene.atMost("heap more in the second half, MB", last - middle, 5);
    const { totals } = await server.status();
    scene.show("delivered", totals.delivered);
    await scene.until("all have left", 10_000, async () => (await server.status()).connections <= 1);
    scene.equal("errors of the app", (await server.log()).errors.slice(0, 3), []);
  },
};
