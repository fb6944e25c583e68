import type { Dice } from "../../../test/support/dice.js";
import { closeFrame, frame, Opcode } from "../../clients/frames.js";
import { inParallel, RawSocket } from "../../clients/rawSocket.js";
import { verdictOf } from "../../clients/receiver.js";
import type { Row, Scene } from "../../scene.js";

const MB = 1024 * 1024;
const framesPerConnection = 100;
/** The share of frames that are mutated. Most of these end their connection. */
const mutatedShare = 0.03;
const atOnce = 24;
/** Milliseconds for a server to close after a violation. */
const closeMs = 5_000;

const texts = ["", "a", "hello", "Zoë 👋", "x".repeat(125), "y".repeat(126), "z".repeat(4_000), '{"event":"x"}'];
/** Lengths that a header declares: around the limit of the server, and far above it. */
const lengths = [65_535, 65_536, 65_537, 100_000, 2 ** 31, 2 ** 32, 2n ** 53n, 2n ** 63n];
const controls = [Opcode.ping, Opcode.pong];

/** Valid frames, one after another. A message may have several fragments. */
class ValidFrames {
  #inMessage = false;

  constructor(readonly dice: Dice) {}

  next(): Buffer {
    const { dice } = this;
    if (dice.roll() < 0.2) {
      return frame({ opcode: dice.of(controls) ?? Opcode.ping, payload: dice.of(texts.slice(0, 5)) ?? "" });
    }
    const first = dice.roll() < 0.7 ? Opcode.text : Opcode.binary;
    const opcode = this.#inMessage ? Opcode.continuation : first;
    const isFinal = dice.roll() < 0.8;
    this.#inMessage = !isFinal;
    return frame({ opcode, payload: dice.of(texts) ?? "", isFinal });
  }
}

/** Changes bytes of a frame: single bits, whole bytes, its header, its length; or repeats, removes or splits it. */
function mutate(bytes: Buffer, dice: Dice): Buffer {
  const at = dice.from(0, Math.min(bytes.length, 14));
  const kind = dice.from(0, 9);
  if (kind === 8) return frame({ opcode: Opcode.binary, declared: dice.of(lengths) ?? 0, lengthBits: 64 });
  if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.from(0, 8));
  else if (kind === 1) bytes[at] = dice.from(0, 256);
  else if (kind === 2) bytes[0] = dice.from(0, 256);
  else if (kind === 3) bytes[1] = dice.from(0, 256);
  else if (kind === 4) return bytes.subarray(0, dice.from(0, bytes.length));
  else if (kind === 5) return Buffer.concat([bytes, bytes.subarray(at)]);
  else if (kind === 6)
    return Buffer.concat([bytes.subarray(0, at), Buffer.from([dice.from(0, 256)]), bytes.subarray(at)]);
  else bytes[dice.from(0, bytes.length)] = dice.from(0, 256);
  return bytes;
}

/** One connection: frames of which some are mutated, then a close. Returns how many frames had to be read. */
async function attack(scene: Scene, port: number, dice: Dice): Promise<number> {
  const parts: Buffer[] = [];
  const valid = new ValidFrames(dice);
  for (let n = 0; n < framesPerConnection; n += 1) {
    const one = valid.next();
    parts.push(dice.roll() < mutatedShare ? mutate(one, dice) : one);
  }
  parts.push(closeFrame(1000));
  const bytes = Buffer.concat(parts);
  const verdict = verdictOf(bytes);
  const client = await RawSocket.open(port, "/echo/a");
  const isSplit = dice.roll() < 0.2;
  client.write(isSplit ? bytes.subarray(0, dice.from(1, bytes.length)) : bytes);
  // A server that waits for more bytes gets the end of the connection.
  if (verdict.codes === undefined || isSplit) client.socket.end();
  const timer = setTimeout(() => client.destroy(), closeMs);
  const { code } = await client.ended;
  clearTimeout(timer);
  if (isSplit) return verdict.frames;
  const expected: readonly (number | undefined)[] = verdict.codes ?? [undefined, 1005, 1006];
  if (!expected.includes(code)) {
    const came = bytes.subarray(0, 80).toString("hex");
    scene.fail(`close code of ${came}…: expected ${verdict.codes ?? "none"}, came ${code}`);
  }
  const answers = client.frames.filter(({ opcode }) => opcode !== Opcode.close).length;
  if (answers > verdict.answers) scene.fail(`answers: expected at most ${verdict.answers}, came ${answers}`);
  return verdict.frames;
}

export const mutatedFrames: Row = {
  number: 2,
  title: "mutated frames",
  expected: "0 crashes, the right close code, memory at most +32 MB",
  seconds: 600,
  async run(scene) {
    const server = await scene.start();
    const total = scene.pick(1_000_000, 20_000);
    // Compiled code and buffers of Node.js are not memory that the attack takes.
    await inParallel(100, atOnce, async () => void (await attack(scene, server.port, scene.dice)));
    const before = await server.measure();
    let [read, connections] = [0, 0];
    const untilEnough = async () => {
      while (read < total && scene.failures.length < 10) {
        const frames = await attack(scene, server.port, scene.dice);
        read += frames;
        connections += 1;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, untilEnough));
    await scene.until("all connections have ended", 10_000, async () => (await server.status()).connections <= 1);
    const after = await server.measure();
    scene.show("frames", read);
    scene.show("connections", connections);
    scene.atMost("memory kept, MB", (after.heap + after.external - before.heap - before.external) / MB, 32);
    scene.show("resident memory more, MB", (after.rss - before.rss) / MB);
    const { errors } = await server.log();
    scene.equal("errors of the app", errors.slice(0, 3), []);
  },
};
