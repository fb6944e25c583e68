import { Opcode } from "../../clients/frames.js";
import { inParallel, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";
import { type Case, conformanceCases } from "./conformanceCases.js";
import { foreignClients } from "./foreignClients.js";

const atOnce = 6;
const casesMin = 300;
const endMs = 5_000;
/** Bytes of a case that are sent one at a time. A longer one is sent in larger pieces. */
const singleBytesMax = 300;

/** What reads the frames: both must do the same. */
const receivers = ["direct", "ws"] as const;

/** How the bytes of a case are split into writes. */
const splits = ["one write", "single bytes"] as const;

async function write(client: RawSocket, bytes: Buffer, split: (typeof splits)[number]): Promise<void> {
  if (split === "one write") {
    client.write(bytes);
    return;
  }
  client.socket.setNoDelay(true);
  const step = Math.max(1, Math.ceil(bytes.length / singleBytesMax));
  for (let at = 0; at < bytes.length && !client.isEnded; at += step) {
    client.write(bytes.subarray(at, at + step));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function check(scene: Scene, port: number, one: Case, split: (typeof splits)[number]): Promise<void> {
  const client = await RawSocket.open(port, "/echo/conformance");
  const timer = setTimeout(() => client.destroy(), endMs);
  const before = one.codes.includes(1000) && one.answers.length > 0 ? one.bytes.length - 8 : one.bytes.length;
  await write(client, one.bytes.subarray(0, before), split);
  // The close comes after the echoes: a server need not answer messages after it has read a close.
  while (before < one.bytes.length && answersOf(client).length < one.answers.length && !client.isEnded) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.write(one.bytes.subarray(before));
  const { code } = await client.ended;
  clearTimeout(timer);
  if (code === undefined || !one.codes.includes(code)) {
    scene.fail(`${one.name}, ${split}: expected the close code ${one.codes.join(" or ")}, came ${code}`);
  }
  const answers = answersOf(client);
  // After a violation, answers to earlier frames may be missing.
  const isWhole = before < one.bytes.length || one.answers.length === 0;
  if (isWhole) scene.equal(`${one.name}, ${split}: the answers`, answers.map(shorten), one.answers.map(shorten));
  else if (answers.some((answer, at) => answer !== one.answers[at])) scene.fail(`${one.name}: came ${answers}`);
}

function answersOf({ frames }: RawSocket): string[] {
  return frames
    .filter(({ opcode }) => opcode !== Opcode.close)
    .map(({ opcode, payload }) => (opcode === Opcode.pong ? "pong:" : "") + payload.toString("latin1"));
}

const shorten = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}… ${text.length}` : text);

async function runCases(scene: Scene, receiver: (typeof receivers)[number]): Promise<ServerProcess> {
  const server = await scene.start({ receiver });
  const cases = conformanceCases();
  scene.atLeast("raw cases", cases.length, casesMin);
  for (const split of splits) {
    await inParallel(cases.length, atOnce, async (index) => {
      const one = cases[index];
      if (one !== undefined) await check(scene, server.port, { ...one, name: `${receiver}: ${one.name}` }, split);
    });
  }
  return server;
}

export const conformance: Row = {
  number: 1,
  title: "conformance",
  expected: "0 failures of at least 300 raw cases, and of clients of other authors",
  seconds: 120,
  async run(scene) {
    const servers = await Promise.all(receivers.map((receiver) => runCases(scene, receiver)));
    const server = await scene.start();
    for (const client of foreignClients) await client.run(scene, server);
    scene.show("clients of other authors", foreignClients.map(({ name }) => name).join(", "));
    for (const one of [...servers, server]) {
      scene.equal("errors of the app", (await one.log()).errors.slice(0, 3), []);
    }
  },
};
