import { textFrame } from "../../clients/frames.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerSettings } from "../../server/settings.js";

const MB = 1024 * 1024;
const memoryMB = 256;
/** Rooms that the clients share; in each are as many stalled readers as healthy ones. */
const membersPerRoom = 40;

/** Counts the numbered texts of a room: each must follow the one before. */
class OrderedReader {
  last = 0;
  fault: string | undefined;

  constructor(readonly client: RawSocket) {
    client.onFrame = ({ payload, opcode }) => {
      if (opcode !== 1) return;
      const number = Number(payload.subarray(0, payload.indexOf(" ")));
      if (number !== this.last + 1) this.fault ??= `${number} after ${this.last}`;
      this.last = number;
    };
  }
}

async function stalledReaders(scene: Scene): Promise<void> {
  const server = await scene.start();
  const count = scene.pick(1_000, 100);
  const paths = Array.from({ length: (2 * count) / membersPerRoom }, (_, at) => `/chat/stalled-${at}`);
  const pathOf = (index: number) => paths[index % paths.length] ?? "/chat/none";
  const healthy = new Map<OrderedReader, string>();
  const open = async (index: number) => {
    const client = await RawSocket.open(server.port, pathOf(index));
    client.answersPings = true;
    healthy.set(new OrderedReader(client), pathOf(index));
    return client;
  };
  const clients = await openMany(count, open);
  const stalled = await openMany(count, async (index) => {
    const client = await RawSocket.open(server.port, pathOf(index));
    client.socket.pause();
    return client;
  });
  await server.resetPeaks();
  await server.startPublishing({ paths, perSecond: 1_000, padding: 1_000 });
  await scene.last(scene.pick(60_000, 2_500));
  const sent = await server.stopPublishing();
  const isBehind = () => [...healthy].some(([reader, path]) => reader.last !== sent[path]);
  await scene.until("every healthy reader has the last message of its room", 10_000, () => !isBehind());
  const faults = [...healthy.keys()].flatMap(({ fault }) => fault ?? []);
  scene.equal("gaps and repeats of healthy readers", faults.slice(0, 3), []);
  scene.equal("healthy readers that were closed", clients.filter(({ isEnded }) => isEnded).length, 0);
  const published = Object.values(sent).reduce((sum, one) => sum + one, 0);
  scene.show("messages published", published);
  scene.atMost("stalled readers: resident memory in all, MB", (await server.measure(false)).peakRss / MB, memoryMB);
  scene.show("stalled readers closed", stalled.filter(({ isEnded }) => isEnded).length);
  for (const client of [...clients, ...stalled]) client.destroy();
}

/** Handlers that never finish, with as many messages in their inboxes as fit. */
export async function fullInboxes(scene: Scene, settings: ServerSettings = {}): Promise<void> {
  const server = await scene.start(settings);
  const count = scene.pick(500, 80);
  const clients = await openMany(count, () => RawSocket.open(server.port, "/busy/inbox"));
  await server.resetPeaks();
  const message = textFrame("x".repeat(65_000));
  for (let n = 0; n < 66; n += 1) for (const client of clients) client.write(message);
  // The server reads until it has what it takes, and then no more.
  let [before, now] = [-1, 0];
  await scene.until("the server stops reading", 20_000, async () => {
    await scene.last(300);
    [before, now] = [now, clients.reduce((sum, { socket }) => sum + socket.writableLength, 0)];
    return before === now;
  });
  if (!server.isRunning) return;
  scene.atMost("full inboxes: resident memory in all, MB", (await server.measure(false)).peakRss / MB, memoryMB);
  scene.equal("busy handlers", await server.tally("busy:message"), count);
  for (const client of clients) client.destroy();
}

export const stalled: Row = {
  number: 11,
  title: "stalled readers, full inboxes",
  expected: "less than 256 MB in all; healthy readers complete and in order",
  seconds: 180,
  async run(scene) {
    await stalledReaders(scene);
    await fullInboxes(scene);
  },
};
