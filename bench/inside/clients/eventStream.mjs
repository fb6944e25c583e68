// Clients of event streams. All count their messages; some of them check the numbers.
import { once } from "node:events";
import { connect } from "node:net";
import { nowMs } from "../../clock.mjs";
import { answerBy, settings } from "./contract.mjs";

/** Every so many clients, one checks the number of each message. */
const checkEach = 100;
const field = Buffer.from('"n":');
const digits = 7;
const firstNumber = 1_000_000;

/** @type {(() => void) | undefined} */
let onAll;
let missing = 0;
let [begunMs, begunCpu] = [0, process.cpuUsage()];

function count(messages) {
  missing -= messages;
  if (missing <= 0) onAll?.();
}

class StreamClient {
  #socket = connect({ port: settings.port, host: "127.0.0.1", noDelay: true });
  #isChecking;
  #rest = Buffer.alloc(0);
  #isOpen = false;
  #next = firstNumber;
  opened;

  constructor(isChecking) {
    this.#isChecking = isChecking;
    this.opened = new Promise((resolve) => {
      this.#socket.on("data", (bytes) => this.#receive(bytes, resolve));
    });
    this.#socket.write("GET /room HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  }

  async leave() {
    this.#socket.destroy();
    await once(this.#socket, "close");
  }

  #receive(bytes, resolve) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    if (!this.#isOpen) {
      if (!all.includes("\r\n\r\n")) {
        this.#rest = all;
        return;
      }
      if (!all.toString("latin1").startsWith("HTTP/1.1 200")) throw new Error("the stream was refused");
      this.#isOpen = true;
      resolve();
    }
    let messages = 0;
    let at = all.indexOf(field);
    let end = 0;
    for (; at !== -1 && at + field.length + digits <= all.length; at = all.indexOf(field, end)) {
      end = at + field.length + digits;
      messages += 1;
      if (this.#isChecking) this.#check(Number(all.toString("latin1", end - digits, end)));
    }
    // The beginning of a field, or of its number.
    this.#rest = Buffer.from(all.subarray(Math.max(end, all.length - field.length - digits)));
    if (messages > 0) count(messages);
  }

  #check(number) {
    if (number !== this.#next) throw new Error(`a client got ${number}, expected ${this.#next}`);
    this.#next += 1;
  }
}

/** @type {StreamClient[]} */
const clients = [];

answerBy(async ({ connect: number = 0, receive = 0, leave }) => {
  if (number > 0) {
    for (let i = 0; i < number; i++) clients.push(new StreamClient(i % checkEach === 0));
    await Promise.all(clients.map(({ opened }) => opened));
    [begunMs, begunCpu] = [nowMs(), process.cpuUsage()];
    return true;
  }
  if (receive > 0) {
    missing += receive * clients.length;
    if (missing > 0) {
      await new Promise((resolve) => {
        onAll = resolve;
      });
    }
    onAll = undefined;
    return receive * clients.length - missing;
  }
  const { user, system } = process.cpuUsage(begunCpu);
  const idleShare = 1 - (user + system) / 1000 / (nowMs() - begunMs);
  if (leave) await Promise.all(clients.map((client) => client.leave()));
  return { idleShare };
});
