// One plain client, which records how late each message arrives after it was due.
import { nowMs } from "../../clock.mjs";
import { answerBy, firstFrame, RawClient } from "./contract.mjs";

const delays = [];
let rest = Buffer.alloc(0);
let wake = () => undefined;

new RawClient((bytes) => {
  rest = Buffer.concat([rest, bytes]);
  const now = nowMs();
  for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
    rest = rest.subarray(frame.end);
    take(frame, now);
  }
  wake();
}).upgrade("/live");

function take({ opcode, payload }, now) {
  if (opcode !== 1) throw new Error(`the plain client got a frame with opcode ${opcode}`);
  const { n, dueMs } = JSON.parse(payload.toString());
  if (n !== delays.length) throw new Error(`the plain client expected number ${delays.length}, got ${n}`);
  delays.push(now - dueMs);
}

/** Answers with all delays as soon as `sent` messages have arrived. */
answerBy(async ({ sent }) => {
  while (delays.length < sent) {
    await new Promise((resolve) => {
      wake = resolve;
    });
  }
  return delays;
});
