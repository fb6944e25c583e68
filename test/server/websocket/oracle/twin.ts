import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { FrameReader } from "../../../../hostile/clients/frames.js";
import { App, type AppOptions, type ConnectionError, WebSocketHandler } from "../../../../src/index.js";
import { Mailbox } from "../../../support/app.js";
import { upgradeRequest } from "../../../support/raw.js";

const opcodeNames: Readonly<Record<number, string>> = { 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

/** What a client and its handler have seen. */
export interface Sight {
  /** The frames of the server, in order, and how it ended the TCP connection: `end` or `reset`. */
  readonly client: readonly string[];
  /** The calls of the handler. */
  readonly handler: readonly string[];
}

/** A client of a twin, that sends any bytes. */
export interface TwinClient {
  readonly socket: Socket;
  /** The server's side of the connection. */
  readonly accepted: Socket;
  readonly seen: Mailbox<string>;
  readonly handled: Mailbox<string>;
  /** Sends bytes, and resolves when the server has read them. */
  send(bytes: Buffer): Promise<void>;
  /** Lets the handler continue, which waits in a message `wait`. */
  release(): void;
  /** Closes the connection from the server. */
  close(code: number, reason: string): void;
  /** Resolves when the server has closed its socket. */
  readonly acceptedClosed: Promise<void>;
}

/** The calls of one handler, which waits when its client asks for it. */
class Calls extends Mailbox<string> {
  close: (code: number, reason: string) => void = () => undefined;
  release: () => void = () => undefined;
  readonly released = new Promise<void>((resolve) => {
    this.release = resolve;
  });
}

/** An app that echoes, with one of the two receivers. */
export class Twin {
  readonly #calls = new Map<string, Calls>();
  readonly #accepted = new Map<number, Socket>();
  readonly #errors: Error[] = [];
  #port = 0;
  #next = 0;

  static async start(receiver: "direct" | "ws", limits: AppOptions["limits"]): Promise<Twin> {
    const twin = new Twin();
    const server = createServer();
    server.on("connection", (socket) => twin.#accepted.set(socket.remotePort ?? 0, socket));
    // A test that needs the end by closeMs takes longer than it may.
    const app = new App({ receiver, limits: { closeMs: 60_000, ...limits } });
    app.on("error", (error) => twin.#errors.push(error));
    app.route("/echo/:id", echoOf(twin.#calls)).attach(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(async () => {
      await app.close({ timeoutMs: 200 });
      server.close();
    });
    const address = server.address();
    twin.#port = typeof address === "object" && address !== null ? address.port : 0;
    return twin;
  }

  /** Plays `script` on a new connection. Returns what came of it when both sides have ended the TCP connection. */
  async play(script: (client: TwinClient) => Promise<unknown>, head: Buffer = Buffer.alloc(0)): Promise<Sight> {
    this.#next += 1;
    const id = String(this.#next);
    const calls = new Calls();
    this.#calls.set(id, calls);
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const seen = new Mailbox<string>();
    const closed = closeOf(socket);
    const opened = new Promise((resolve) => readFrames(socket, seen, () => resolve(undefined)));
    await once(socket, "connect");
    socket.write(Buffer.concat([Buffer.from(upgradeRequest(`/echo/${id}`)), head]));
    await opened;
    const accepted = this.#accepted.get(socket.localPort ?? 0);
    if (accepted === undefined) throw new Error("the server has not accepted the connection");
    const acceptedClosed = closeOf(accepted);
    await script({
      ...{ socket, accepted, seen, handled: calls },
      send: (bytes) => send(socket, accepted, bytes),
      ...{ acceptedClosed, release: () => calls.release(), close: (code, reason) => calls.close(code, reason) },
    });
    await Promise.all([closed, acceptedClosed]);
    while (!calls.all.some((call) => call.startsWith("onClose"))) await calls.have(calls.all.length + 1);
    if (this.#errors.length > 0) throw new Error("the app has reported an error", { cause: this.#errors[0] });
    return { client: seen.all, handler: calls.all };
  }
}

/** Resolves also after an error, which comes before "close". */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

function readFrames(socket: Socket, seen: Mailbox<string>, onOpen: () => void): void {
  const reader = new FrameReader();
  let isOpen = false;
  socket.on("data", (chunk: Buffer) => {
    // The answer to the handshake fits into one packet.
    const begin = isOpen ? 0 : chunk.indexOf("\r\n\r\n") + 4;
    if (!isOpen) onOpen();
    isOpen = true;
    for (const { opcode, payload } of reader.read(chunk.subarray(begin))) {
      const code = opcode === 8 && payload.length > 1 ? payload.readUInt16BE(0) : "";
      seen.put(`${opcodeNames[opcode]}:${code}${payload.toString("latin1", code === "" ? 0 : 2)}`);
    }
  });
  socket.once("end", () => {
    seen.put("end");
    socket.end();
  });
  // Some of these connections end with a reset on purpose; "close" follows.
  socket.on("error", () => seen.put("reset"));
}

async function send(socket: Socket, accepted: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || socket.writableEnded) return;
  const before = accepted.bytesRead;
  socket.write(bytes);
  while (!accepted.destroyed && !socket.destroyed && accepted.bytesRead < before + bytes.length) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Echoes, closes when its client asks for it, and notes its calls. */
function echoOf(allCalls: ReadonlyMap<string, Calls>) {
  return class Echo extends WebSocketHandler<{ id: string }> {
    get calls(): Calls {
      const calls = allCalls.get(this.params.id);
      if (calls === undefined) throw new Error(`there is no client ${this.params.id}`);
      return calls;
    }
    override onConnect() {
      this.calls.close = (code, reason) => this.close(code, reason);
    }
    async onMessage(text: string | undefined, error?: ConnectionError) {
      this.calls.put(error ? `error: ${error.closeCode} ${error.closeReason}` : `text: ${text}`);
      if (text === "wait") await this.calls.released;
      if (text === "close") this.close(4000, "as asked");
      else if (text !== undefined) this.sendText(text);
    }
    override onBinary(bytes: Uint8Array) {
      this.calls.put(`binary: ${Buffer.from(bytes).toString("latin1")}`);
      this.sendBinary(bytes);
    }
    override onClose(code: number, reason: string) {
      this.calls.put(`onClose: ${code} ${reason}`);
    }
  };
}
