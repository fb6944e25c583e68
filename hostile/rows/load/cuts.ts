import { FaultyProxy } from "../../../test/faults/faultyProxy.js";
import { PublicationLog } from "../../../test/faults/publicationLog.js";
import { SequenceClient } from "../../../test/support/sequenceClient.js";
import { checkedSocketClass } from "../../clients/checkedSocket.js";
import { inParallel } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

/** Rooms whose history keeps everything, so that nothing may be lost, and rooms whose history is too short. */
const paths = Array.from({ length: 10 }, (_, index) => `/${index % 2 === 0 ? "whole" : "brief"}/cuts-${index}`);
/** Milliseconds between two waves of cuts. */
const waveMs = 100;
/** Longer delays than those of the client, so that it misses several messages. */
const delayShare = 2;
/** Milliseconds until every client has the last message. */
const settleMs = 30_000;

interface Member {
  readonly path: string;
  readonly client: SequenceClient;
}

async function openClients(scene: Scene, port: number, frameFaults: string[]): Promise<Member[]> {
  const members: Member[] = [];
  scene.finally(() => {
    for (const { client } of members) client.room.close();
  });
  const options = { random: () => scene.dice.roll(), delayShare, socketClass: checkedSocketClass(frameFaults) };
  await inParallel(scene.pick(1_000, 60), 50, async (index) => {
    const path = paths[index % paths.length] ?? "";
    const url = `ws://127.0.0.1:${port}${path}?user=user-${index}`;
    const client = new SequenceClient(url, `client ${index} of ${path}`, options);
    members.push({ path, client });
    await client.room.opened;
  });
  return members;
}

/** Resets connections, or cuts them within the next bytes from the server. Returns how many. */
async function cutInWaves(scene: Scene, proxy: FaultyProxy): Promise<number> {
  const wanted = scene.pick(5_000, 150);
  const cutsPerWave = scene.pick(10, 5);
  let cut = 0;
  while (cut < wanted) {
    const links = [...proxy.connections];
    for (let n = 0; n < cutsPerWave && links.length > 0; n += 1) {
      const [link] = links.splice(scene.dice.from(0, links.length), 1);
      if (scene.dice.roll() < 0.5) link?.reset();
      else link?.cutAfter(scene.dice.from(1, 400));
      cut += 1;
    }
    await scene.last(waveMs);
  }
  return cut;
}

/** Compares what the clients of a room got with the numbers that were published to it. Returns the losses told. */
async function checkRoom(
  scene: Scene,
  server: ServerProcess,
  path: string,
  sent: number,
  clients: readonly SequenceClient[],
): Promise<number> {
  const { history, position } = await server.room(path);
  scene.equal(`${path}: the offset of the last publication`, position?.offset, sent);
  const log = new PublicationLog();
  // The only publisher of the room sends its numbers in order, so a number is an offset, too.
  for (let number = 1; number <= sent; number += 1) {
    log.accept("server", String(number), position && { ...position, offset: number });
  }
  const isWhole = path.startsWith("/whole/");
  if (isWhole) scene.equal(`${path}: publications that its history has`, history.length, sent);
  const { examples, told } = log.tally(clients, isWhole ? history.map(String) : []);
  const wrong = clients.flatMap(({ name, faults, lost }) => [
    ...faults,
    // No client is slow, so only a history can lose something, between two connections.
    ...lost.filter(({ reason }) => isWhole || reason !== "trimmed").map(({ reason }) => `${name}: lost by ${reason}`),
  ]);
  for (const fault of [...log.faults, ...examples, ...log.miscounted(clients), ...wrong].slice(0, 3)) {
    scene.fail(`expected each publication once and in order, or a report of its loss; came ${fault}`);
  }
  return told;
}

/** Our clients behind a proxy that breaks their connections, on both sides and within frames. */
export const cuts: Row = {
  number: 15,
  title: "our clients, cut again and again",
  expected: "all deliveries once and in order, or reported at their place",
  seconds: 600,
  async run(scene) {
    const server = await scene.start();
    const proxy = await FaultyProxy.start(() => server.port);
    scene.finally(() => proxy.stop());
    const frameFaults: string[] = [];
    const members = await openClients(scene, proxy.port, frameFaults);
    await server.startPublishing({ paths, perSecond: scene.pick(50, 300), padding: 0 });
    scene.show("cuts", await cutInWaves(scene, proxy));
    const sent = await server.stopPublishing();
    const clients = members.map(({ client }) => client);
    const lacking = () => members.filter(({ path, client }) => !client.has(String(sent[path])));
    await scene.until("every client has the last message", settleMs, () => lacking().length === 0);
    const deliveries = sumOf(clients, ({ ids }) => ids.length);
    scene.atLeast("deliveries", deliveries, scene.pick(100_000, 1_000));
    scene.atLeast(
      "recoveries",
      sumOf(clients, ({ recovered }) => recovered),
      1,
    );
    let told = 0;
    for (const path of paths) {
      const ofRoom = members.filter((member) => member.path === path).map(({ client }) => client);
      told += await checkRoom(scene, server, path, sent[path] ?? 0, ofRoom);
    }
    // Else the row would not show that they are reported.
    scene.atLeast("losses reported", told, 1);
    scene.equal("offsets on a connection that do not follow each other", frameFaults, []);
  },
};

const sumOf = (clients: readonly SequenceClient[], countOf: (client: SequenceClient) => number) =>
  clients.reduce((sum, client) => sum + countOf(client), 0);
