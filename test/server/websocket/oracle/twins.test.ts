import { describe, expect, it } from "vitest";
import { inParallel } from "../../../../hostile/clients/rawSocket.js";
import { conformanceCases } from "../../../../hostile/rows/wire/conformanceCases.js";
import type { FrameLimits } from "../../../../src/server/websocket/direct/frameParser.js";
import { Dice } from "../../../support/dice.js";
import { FrameCases, slicesOf } from "./frameCases.js";
import { WsReader } from "./frameReaders.js";
import { type Script, Twins } from "./twins.js";

/** `ORACLE_SEED=7 npx vitest run test/server/websocket/oracle` repeats the random cases. */
const seed = Number(process.env.ORACLE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const atOnce = 8;
const most = { messageBytesMax: 65_536, fragmentsMax: 256, piecesMax: 512 };

/** Sends the slices of a client; it ends its side when all answers have come, if the server does not end first. */
function slices(bytes: Buffer, ends: readonly number[], limits: FrameLimits): Script {
  const oracle = new WsReader(limits);
  // The oracle unmasks in place.
  const copy = Buffer.from(bytes);
  for (const [n, end] of ends.entries()) oracle.read(copy.subarray(ends[n - 1] ?? 0, end));
  const { outcomes } = oracle;
  const isOver = outcomes.some((outcome) => /^(close|fault):/.test(outcome));
  const answers = outcomes.filter((outcome) => !outcome.startsWith("pong:")).length;
  return async ({ send, seen, socket }) => {
    let begin = 0;
    for (const end of ends) {
      // Bytes of their own: the client may send them later.
      await send(Buffer.from(bytes.subarray(begin, end)));
      begin = end;
    }
    if (isOver) return;
    await seen.have(answers);
    socket.end();
  };
}

describe("an app with a receiver of its own behaves as with that of ws", () => {
  it("for all conformance cases, in one slice and in pieces", async () => {
    const twins = await Twins.start();
    const cases = conformanceCases();
    await inParallel(cases.length, atOnce, async (n) => {
      const { name, bytes } = cases[n] ?? { name: "", bytes: Buffer.alloc(0) };
      const step = Math.ceil(bytes.length / 60);
      const pieces = Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) =>
        Math.min(bytes.length, (at + 1) * step),
      );
      for (const ends of [[bytes.length], pieces]) {
        const sight = await twins.play(slices(bytes, ends, most));
        expect([name, sight.client.at(-1)]).toEqual([name, "end"]);
      }
    });
  });

  it("for 300 mutated cases", async () => {
    console.info(`sockets: ORACLE_SEED=${seed}`);
    const limits = { messageBytesMax: 200, fragmentsMax: 4, piecesMax: 3 };
    const twins = await Twins.start({ messageBytesMax: 200, fragmentsMax: 4, bufferedChunksMax: 3 });
    await playMutated(limits, (script) => twins.play(script));
  });

  it("for 300 mutated cases with at most two frames in a turn", async () => {
    console.info(`turns: ORACLE_SEED=${seed}`);
    const twins = await Twins.start({ turnMessagesMax: 2 });
    await playMutated(most, (script) => twins.playTurns(script));
  });
});

async function playMutated(limits: FrameLimits, play: (script: Script) => Promise<unknown>): Promise<void> {
  const dice = new Dice(seed);
  const frames = new FrameCases(dice);
  const cases = Array.from({ length: 300 }, () => {
    const bytes = Buffer.from(frames.next(dice.from(0, 4)));
    return { bytes, ends: slicesOf(bytes.length, dice) };
  });
  await inParallel(cases.length, atOnce, async (n) => {
    const { bytes, ends } = cases[n] ?? { bytes: Buffer.alloc(0), ends: [] };
    try {
      await play(slices(bytes, ends, limits));
    } catch (error) {
      throw new Error(`ORACLE_SEED=${seed} case ${n}: ${error}\n${bytes.toString("hex")}\ncut at ${ends}`);
    }
  });
}
