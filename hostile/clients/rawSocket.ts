import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { upgradeRequest } from "../../test/support/raw.js";
import { FrameReader, Opcode, type ServerFrame } from "./frames.js";

/** How a connection ended: the status of the close frame, if the server sent one. */
export interface RawEnd {
  /** 1005 for a close frame without a code; `undefined` if no close frame came. */
  readonly code: number | undefined;
  readonly reason: string;
}

export interface RawOptions {
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly subprotocol?: string;
}

/** A client that sends any bytes to a server, and reads its frames. */
export class RawSocket {
  readonly frames: ServerFrame[] = [];
  readonly ended: Promise<RawEnd>;
  /** The head of the answer to the handshake. */
  head = "";
  isEnded = false;
  endedAt = 0;
  /** Called for each frame, instead of keeping them. */
  onFrame: (frame: ServerFrame) => void = (frame) => void this.frames.push(frame);
  /** Whether pings of the server are answered. Default: `false`. */
  answersPings = false;
  readonly #reader = new FrameReader();
  #code: number | undefined;
  #reason = "";
  #wake: () => void = () => undefined;

  private constructor(
    readonly socket: Socket,
    onPong: (bytes: Buffer) => void,
  ) {
    socket.on("data", (chunk: Buffer) => this.#take(chunk, onPong));
    // Some of these connections end with a reset on purpose.
    socket.on("error", () => socket.destroy());
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        this.isEnded = true;
        this.endedAt = performance.now();
        this.#wake();
        resolve({ code: this.#code, reason: this.#reason });
      });
    });
  }

  /** A TCP connection, without a handshake. */
  static async dial(port: number): Promise<RawSocket> {
    const socket = connect(port, "127.0.0.1");
    const raw = new RawSocket(socket, () => undefined);
    await Promise.race([once(socket, "connect"), raw.ended]);
    if (socket.destroyed) throw new Error("the server accepted no connection");
    return raw;
  }

  /** An open connection. Rejects if the server refuses. */
  static async open(port: number, target: string, options: RawOptions = {}): Promise<RawSocket> {
    const raw = await RawSocket.dial(port);
    const { subprotocol, headers } = options;
    const protocol = subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol };
    raw.socket.write(upgradeRequest(target, { ...protocol, ...headers }));
    while (raw.head === "" && !raw.isEnded) await raw.#change();
    if (!raw.head.startsWith("HTTP/1.1 101 ")) throw new Error(`refused: ${raw.head.slice(0, 60)}`);
    return raw;
  }

  /** An open connection that offers `enfilade.v1`, after its welcome. */
  static async openV1(port: number, target: string, options: RawOptions = {}): Promise<RawSocket> {
    const raw = await RawSocket.open(port, target, { subprotocol: "enfilade.v1", ...options });
    await raw.nextText();
    return raw;
  }

  write(bytes: Buffer | string): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Resolves with the payload of the next data frame as text; rejects if the connection ends first. */
  async nextText(): Promise<string> {
    for (;;) {
      const at = this.frames.findIndex(({ opcode }) => opcode === Opcode.text || opcode === Opcode.binary);
      const found = at === -1 ? undefined : this.frames.splice(0, at + 1).at(-1);
      if (found !== undefined) return String(found.payload);
      if (this.isEnded) throw new Error(`the connection ended with ${this.#code} ${this.#reason}`);
      await this.#change();
    }
  }

  /** From now on, reads what comes without looking at it. */
  discard(): void {
    this.socket.removeAllListeners("data");
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(chunk: Buffer, onPong: (bytes: Buffer) => void): void {
    let bytes = chunk;
    if (this.head === "") {
      const end = chunk.indexOf("\r\n\r\n");
      // The answers of the library fit into one packet.
      this.head = chunk.subarray(0, end === -1 ? chunk.length : end).toString("latin1");
      bytes = end === -1 ? Buffer.alloc(0) : chunk.subarray(end + 4);
    }
    if (this.head.startsWith("HTTP/1.1 101 ")) for (const one of this.#reader.read(bytes)) this.#onFrame(one, onPong);
    this.#wake();
  }

  #onFrame(one: ServerFrame, onPong: (bytes: Buffer) => void): void {
    if (one.opcode === Opcode.close) {
      this.#code = one.payload.length < 2 ? 1005 : one.payload.readUInt16BE(0);
      this.#reason = String(one.payload.subarray(2));
      // Answers the close, so that the server need not wait for it.
      if (!this.socket.destroyed) this.socket.end(maskedFrame(Opcode.close, one.payload));
    }
    if (one.opcode === Opcode.ping && this.answersPings) this.write(maskedFrame(Opcode.pong, one.payload));
    if (one.opcode === Opcode.pong) onPong(one.payload);
    this.onFrame(one);
  }
}

/** A control frame whose mask changes nothing. */
function maskedFrame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** Runs `task` for each number below `count`, so many at a time. */
export async function inParallel(count: number, atOnce: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      next += 1;
      await task(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

/** So many connections, opened some at a time. */
export async function openMany(count: number, open: (index: number) => Promise<RawSocket>): Promise<RawSocket[]> {
  const all: RawSocket[] = [];
  await inParallel(count, 64, async (index) => {
    all.push(await open(index));
  });
  return all;
}
