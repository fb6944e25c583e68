import { once } from "node:events";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { Mailbox } from "./app.js";

/** A frame of a socket with many rooms, as the server sends it. */
export interface RoomsFrame {
  readonly type: string;
  readonly room?: string;
  readonly address?: string;
  readonly status?: number;
  readonly reason?: string;
  readonly retryAfterMs?: number;
  readonly code?: number;
  readonly id?: unknown;
  readonly secret?: string;
  readonly data?: unknown;
  readonly text?: string;
  readonly base64?: string;
  readonly offset?: number;
  readonly position?: { readonly epoch: string; readonly offset: number };
  readonly error?: { readonly code: string };
  readonly [field: string]: unknown;
}

export interface RoomsClientOptions {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly protocols?: readonly string[];
  readonly localAddress?: string;
}

/** A client that sends the frames of `enfilade.v1.rooms` as the test writes them. */
export class RoomsClient {
  readonly frames = new Mailbox<RoomsFrame>();
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #ws: WebSocket;
  #calls = 0;

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on("message", (data: Buffer) => this.frames.put(JSON.parse(data.toString())));
    ws.on("error", () => undefined);
    // A socket that is refused reports an error first.
    this.closed = new Promise((resolve) => {
      ws.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  /** Resolves when the socket is open. Rejects when it is refused. */
  static async open(port: number, options: RoomsClientOptions = {}): Promise<RoomsClient> {
    const { path = "/", headers = {}, protocols = [], localAddress } = options;
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, ["enfilade.v1.rooms", ...protocols], {
      headers,
      perMessageDeflate: false,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    onTestFinished(() => ws.terminate());
    const client = new RoomsClient(ws);
    await once(ws, "open");
    return client;
  }

  get protocol(): string {
    return this.#ws.protocol;
  }

  send(frame: unknown): void {
    this.sendText(JSON.stringify(frame));
  }

  sendText(text: string | Buffer): void {
    this.#ws.send(text);
  }

  /** Asks for a room, and does not wait for the answer. */
  ask(room: string, fields: object = {}): void {
    this.send({ type: "open", room, ...fields });
  }

  /** Opens a room. Resolves with the frame `opened`, or `refused`. */
  async open(room: string, fields: object = {}): Promise<RoomsFrame> {
    const answers = this.of(room, "opened", "refused").length;
    this.ask(room, fields);
    await this.until(() => this.of(room, "opened", "refused").length > answers);
    // There is one more than before.
    return this.of(room, "opened", "refused").at(-1) as RoomsFrame;
  }

  event(room: string, event: string, data?: unknown, id?: unknown): void {
    this.send({ type: "event", room, event, data, id });
  }

  /** Sends a request as an event. Resolves with the frame that answers it. */
  async call(room: string, event: string, data?: unknown): Promise<RoomsFrame> {
    this.#calls += 1;
    const id = `call ${this.#calls}`;
    this.event(room, event, data, id);
    const find = () => this.of(room, "reply").find((one) => one.id === id);
    await this.until(() => find() !== undefined);
    // It is there.
    return find() as RoomsFrame;
  }

  /** The frames so far that are of a room, of some types if any are given. */
  of(room: string, ...types: readonly string[]): RoomsFrame[] {
    return this.frames.all.filter((one) => one.room === room && (types.length === 0 || types.includes(one.type)));
  }

  /** Resolves when the frames so far satisfy a condition. */
  async until(isDone: () => boolean): Promise<void> {
    while (!isDone()) await this.frames.have(this.frames.all.length + 1);
  }

  /** Resolves with the first frame of a type and a room, once it is there. */
  async first(type: string, room?: string): Promise<RoomsFrame> {
    const find = () => this.frames.all.find((one) => one.type === type && one.room === room);
    await this.until(() => find() !== undefined);
    // It is there.
    return find() as RoomsFrame;
  }

  /** Resolves with all frames so far when the server has answered everything that was sent before. */
  async settled(): Promise<readonly RoomsFrame[]> {
    const pongs = () => this.frames.all.filter(({ type, room }) => type === "pong" && room === undefined).length;
    const before = pongs();
    this.send({ type: "ping" });
    await this.until(() => pongs() > before);
    return this.frames.all;
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Starts the closing handshake. */
  close(code?: number, reason?: string): void {
    this.#ws.close(code, reason);
  }

  /** Ends the connection without one. */
  cut(): void {
    this.#ws.terminate();
  }
}
