// Clients of event streams. All count their messages; some of them check the numbers.
import { once } from "node:events";
import { connect } from "node:net";
import { Arrivals, idleShare, receiveAll, startIdleTime } from "./arrivals.mjs";
import { answerBy, settings } from "./contract.mjs";

/** Every so many clients, one checks the number of each message. */
const checkEach = 100;

class StreamClient {
  #socket = connect({ port: settings.port, host: "127.0.0.1", noDelay: true });
  #arrivals;
  #head = Buffer.alloc(0);
  #isOpen = false;
  opened;

  constructor(isChecking) {
    this.#arrivals = new Arrivals(1, isChecking);
    this.opened = new Promise((resolve) => {
      this.#socket.on("data", (bytes) => (this.#isOpen ? this.#arrivals.read(bytes) : this.#readHead(bytes, resolve)));
    });
    this.#socket.write("GET /room HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  }

  async leave() {
    this.#socket.destroy();
    await once(this.#socket, "close");
  }

  #readHead(bytes, resolve) {
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end === -1) return;
    if (!this.#head.toString("latin1").startsWith("HTTP/1.1 200")) throw new Error("the stream was refused");
    this.#isOpen = true;
    resolve();
    this.#arrivals.read(this.#head.subarray(end));
  }
}

/** @type {StreamClient[]} */
const clients = [];

answerBy(async ({ connect: number = 0, receive = 0, leave }) => {
  if (number > 0) {
    for (let i = 0; i < number; i++) clients.push(new StreamClient(i % checkEach === 0));
    await Promise.all(clients.map(({ opened }) => opened));
    startIdleTime();
    return true;
  }
  if (receive > 0) return receiveAll(receive * clients.length);
  const share = idleShare();
  if (leave) await Promise.all(clients.map((client) => client.leave()));
  return { idleShare: share };
});
