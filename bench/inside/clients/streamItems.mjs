// A client of enfilade.v1 that asks for values, as a streamed reply or as messages, and counts them.
import { answerBy, firstFrame, RawClient } from "./contract.mjs";

/** The largest window. As enfilade/client, this client acknowledges after half of it. */
const window = 1_024;
/** Every so many values, one is checked. */
const checkEach = 100;
const firstNumber = 1_000_000;
const reply = Buffer.from('{"type":"reply"');
const welcome = Buffer.from('{"type":"welcome"');

let rest = Buffer.alloc(0);
let received = 0;
let lastId = 0;
let isStream = false;
let onReply = () => undefined;
let onWelcome = () => undefined;
const welcomed = new Promise((resolve) => {
  onWelcome = resolve;
});

const client = new RawClient((bytes) => {
  rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
  for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
    rest = rest.subarray(frame.end);
    take(frame.payload);
  }
});
client.upgrade("/values?client=bench-0123456789abcdef", "enfilade.v1");

function take(payload) {
  if (payload.subarray(0, welcome.length).equals(welcome)) onWelcome();
  else if (payload.subarray(0, reply.length).equals(reply)) onReply();
  else {
    if (received % checkEach === 0) checkNumber(payload);
    received += 1;
    if (isStream && received % (window / 2) === 0) send({ type: "ack", id: lastId, seq: received });
  }
}

function checkNumber(payload) {
  const { n } = JSON.parse(payload.toString()).data;
  if (n !== firstNumber + received) throw new Error(`the client got ${n}, expected ${firstNumber + received}`);
}

/** A masked text frame; a mask of zeros leaves the payload as it is. */
function send(fields) {
  const payload = Buffer.from(JSON.stringify(fields));
  if (payload.length > 125) throw new Error(`a frame of this client has at most 125 bytes, got ${payload.length}`);
  client.write(Buffer.concat([Buffer.of(0x81, 0x80 | payload.length, 0, 0, 0, 0), payload]));
}

/** Answers with the number of values that came before the reply. */
answerBy(async ({ event, count }) => {
  await welcomed;
  isStream = event === "items";
  received = 0;
  lastId += 1;
  const answered = new Promise((resolve) => {
    onReply = resolve;
  });
  send({ type: "event", event, data: count, id: lastId, ...(isStream && { from: 0, window }) });
  await answered;
  if (isStream) send({ type: "ack", id: lastId, seq: received });
  return received;
});
