import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type {
  App,
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../src/index.js";
import { Message } from "../../src/wire/message.js";

/** A message as a line of JSON. */
const lineFraming: Framing = {
  encode: (data) => {
    const fields = typeof data === "string" ? { text: data } : { base64: Buffer.from(data).toString("base64") };
    return Buffer.from(`${JSON.stringify(fields)}\n`);
  },
};

/** Lines of JSON over a plain TCP socket: a transport that is not a WebSocket. The first line is the path. */
class LineTransport implements Transport {
  readonly framing = lineFraming;
  readonly protocol = "";
  readonly #socket: Socket;
  #events: TransportEvents | undefined;
  #gone: GoneListener | undefined;
  #messageBytesMax = 0;
  #unread = "";
  #isOpen = false;
  #closed = { code: 1006, reason: "" };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#isOpen = false;
      this.#events?.onGone(this.#closed.code, this.#closed.reason);
      this.#gone?.onGone();
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }
  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }
  whenGone(listener: GoneListener): void {
    this.#gone = listener;
  }
  open({ messageBytesMax }: TransportOptions): boolean {
    this.#isOpen = !this.#socket.destroyed;
    this.#messageBytesMax = messageBytesMax;
    return this.#isOpen;
  }
  refuse({ status, body }: Refusal): void {
    this.#socket.end(`${JSON.stringify({ refused: status, body: String(body) })}\n`);
  }
  listen(events: TransportEvents): void {
    this.#events = events;
  }
  receive(chunk: string): void {
    const lines = (this.#unread + chunk).split("\n");
    this.#unread = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
  }
  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }
  whenWritten(callback: () => void): void {
    if (this.#socket.writable) this.#socket.write("", callback);
    else setImmediate(callback);
  }
  ping(): void {
    this.#socket.write('{"ping":true}\n');
  }
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  close(code: number, reason: string): void {
    this.#isOpen = false;
    this.#closed = { code, reason };
    this.#socket.end(`${JSON.stringify({ close: code, reason })}\n`);
  }
  destroy(): void {
    this.#socket.destroy();
  }

  #take(line: string): void {
    const { text, close } = JSON.parse(line) as { text?: string; close?: number };
    if (close !== undefined) {
      this.#events?.onClosing();
      this.close(close, "");
    } else if (text === undefined) {
      this.#events?.onHeard();
    } else if (Buffer.byteLength(text) > this.#messageBytesMax) {
      this.#events?.onFailed(1009, "message too big");
      this.close(1009, "message too big");
    } else {
      this.#events?.onMessage(new Message(Buffer.from(text), true));
    }
  }
}

/** A line server for an app, on a free port until the end of the test; returns the port. */
export async function serveLines(app: App): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    const transport = new LineTransport(socket);
    let unread = "";
    const onFirst = (chunk: string) => {
      unread += chunk;
      const end = unread.indexOf("\n");
      if (end === -1) return;
      socket.off("data", onFirst);
      socket.on("data", (more: string) => transport.receive(more));
      const { path } = JSON.parse(unread.slice(0, end)) as { path: string };
      app.accept(transport, { url: path, remoteAddress: socket.remoteAddress });
      transport.receive(unread.slice(end + 1));
    };
    socket.setEncoding("utf8").on("data", onFirst);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A client of such a server, which reads line by line. */
export class LineClient {
  readonly socket: Socket;
  readonly #lines: unknown[] = [];
  readonly #waiting: ((line: unknown) => void)[] = [];

  constructor(port: number, path: string) {
    this.socket = connect(port, "127.0.0.1").setEncoding("utf8");
    onTestFinished(() => void this.socket.destroy());
    let unread = "";
    this.socket.on("data", (chunk: string) => {
      const lines = (unread + chunk).split("\n");
      unread = lines.pop() ?? "";
      for (const line of lines) this.#put(JSON.parse(line));
    });
    this.say({ path });
  }

  say(line: object): void {
    this.socket.write(`${JSON.stringify(line)}\n`);
  }

  /** The next line. */
  next(): Promise<unknown> {
    const line = this.#lines.shift();
    return line === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(line);
  }

  #put(line: unknown): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#lines.push(line);
    else waiting(line);
  }
}
