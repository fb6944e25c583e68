// Clients of enfilade.v1 that resume at once. Each must get every publication in order and once, and nothing else.
import { nowMs } from "../../clock.mjs";
import { publicationAt } from "../publication.mjs";
import { answerBy, firstFrame, RawClient, settings, shortFrame } from "./contract.mjs";

const { epoch, missed, bytes } = settings;
const ping = Buffer.of(0x89, 0x80, 0, 0, 0, 0);
const pong = Buffer.of(0x8a, 0);

/** All clients get the same bytes after the welcome. Comparing bytes is the cheapest check. */
const publications = Buffer.concat(
  Array.from({ length: missed }, (_, i) => {
    const data = JSON.stringify(publicationAt(i + 1, bytes));
    return shortFrame(`{"type":"message","offset":${i + 1},"data":${data}}`);
  }),
);
const expected = Buffer.concat([publications, pong]);

class ResumingClient {
  #raw = new RawClient((bytes) => this.#receive(bytes));
  #early = Buffer.alloc(0);
  #isWelcomed = false;
  #at = 0;
  #gotAll;
  #gotPong;
  connected = this.#raw.connected;
  /** Resolves when all missed publications have arrived. */
  hasAll = new Promise((resolve) => {
    this.#gotAll = resolve;
  });
  /** Resolves when the pong has arrived after them, with nothing in between. */
  hasPong = new Promise((resolve) => {
    this.#gotPong = resolve;
  });

  resume() {
    this.#raw.upgrade(`/kept?since=${epoch}:0`, "enfilade.v1");
  }

  leave() {
    this.#raw.leave();
  }

  #receive(bytes) {
    if (this.#isWelcomed) this.#match(bytes);
    else this.#readWelcome(bytes);
  }

  #readWelcome(bytes) {
    this.#early = Buffer.concat([this.#early, bytes]);
    const frame = firstFrame(this.#early);
    if (frame === undefined) return;
    checkWelcome(frame);
    this.#isWelcomed = true;
    this.#match(this.#early.subarray(frame.end));
  }

  #match(bytes) {
    const end = this.#at + bytes.length;
    const fits = end <= expected.length && bytes.compare(expected, this.#at, end) === 0;
    if (!fits) throw new Error(mismatch(bytes, this.#at));
    if (this.#at < publications.length && end >= publications.length) {
      this.#gotAll();
      this.#raw.write(ping);
    }
    this.#at = end;
    if (end === expected.length) this.#gotPong();
  }
}

function checkWelcome({ opcode, payload }) {
  if (opcode === 8) throw new Error(closedBy(payload));
  const text = payload.toString();
  const { type, recovered, position } = JSON.parse(text);
  const isWhole = type === "welcome" && recovered === true && position.epoch === epoch && position.offset === 0;
  if (!isWhole) throw new Error(`not recovered: ${text}`);
}

function mismatch(bytes, at) {
  const wrong = bytes.findIndex((byte, i) => byte !== expected[at + i]);
  if (bytes[wrong] === 0x88) return closedBy(bytes.subarray(wrong + 2));
  const text = (buffer, index) => JSON.stringify(buffer.toString("latin1", index, index + 60));
  return `a resuming client expected ${text(expected, at + wrong)}, got ${text(bytes, wrong)}`;
}

/** @param {Buffer} reason The payload of a close frame. */
function closedBy(reason) {
  return `a resuming client was closed: ${reason.readUInt16BE()} ${reason.toString("utf8", 2)}`;
}

/** @type {ResumingClient[]} */
let clients = [];

async function connect(count) {
  clients = Array.from({ length: count }, () => new ResumingClient());
  await Promise.all(clients.map(({ connected }) => connected));
}

async function resume() {
  const begunMs = nowMs();
  const begunCpu = process.cpuUsage();
  for (const client of clients) client.resume();
  await Promise.all(clients.map(({ hasAll }) => hasAll));
  const endedMs = nowMs();
  const { user, system } = process.cpuUsage(begunCpu);
  await Promise.all(clients.map(({ hasPong }) => hasPong));
  for (const client of clients) client.leave();
  return { begunMs, endedMs, idleShare: 1 - (user + system) / 1000 / (endedMs - begunMs) };
}

/** The first request connects a number of clients; the second one resumes all of them. */
answerBy((request) => (request.connect === undefined ? resume() : connect(request.connect)));
