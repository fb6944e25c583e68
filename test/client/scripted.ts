import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type ClientRoom, type ConnectOptions, connect, type RoomEvents } from "../../src/client/index.js";
import { ManualClock } from "../../src/testing/clock.js";
import { Mailbox as BaseMailbox } from "../support/app.js";

/** Values in their order; a test waits for them and takes them one by one. */
export class Mailbox<T> extends BaseMailbox<T> {
  #taken = 0;

  /** The next value that was not taken yet. */
  async take(): Promise<T> {
    this.#taken += 1;
    const value = (await this.have(this.#taken))[this.#taken - 1];
    if (value === undefined) throw new Error("nothing was put");
    return value;
  }
}

export interface Frame {
  readonly type: string;
  readonly id?: number;
  readonly [field: string]: unknown;
}

/** The server's end of one connection, controlled by the test. */
export class Peer {
  readonly url: URL;
  /** The subprotocols as they were offered. */
  readonly offered: readonly string[];
  readonly received = new Mailbox<Frame>();
  /** Binary messages, each with the number of frames before it. */
  readonly binary = new Mailbox<{ readonly bytes: Uint8Array; readonly after: number }>();
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.url = new URL(request.url ?? "", "ws://localhost");
    this.offered = (request.headers["sec-websocket-protocol"] ?? "").split(/, */);
    socket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) this.binary.put({ bytes: Uint8Array.from(data), after: this.received.all.length });
      else this.received.put(JSON.parse(String(data)));
    });
    this.closed = once(socket, "close").then(([code, reason]) => ({ code, reason: String(reason) }));
  }

  get since(): string | null {
    return this.url.searchParams.get("since");
  }

  get client(): string | null {
    return this.url.searchParams.get("client");
  }

  welcome(fields: object = {}): void {
    this.send({ type: "welcome", id: "connection-1", room: "/chat/general", heartbeatMs: 0, ...fields });
  }

  /** A welcome to a home with history. */
  welcomeAt(offset: number, fields: object = {}): void {
    this.welcome({ position: { epoch: "e", offset }, ...fields });
  }

  send(frame: object): void {
    this.sendRaw(JSON.stringify(frame));
  }

  sendRaw(text: string): void {
    this.#socket.send(text);
  }

  /** Publications of the home, with their offset as data. */
  publish(...offsets: readonly number[]): void {
    for (const offset of offsets) this.send({ type: "message", offset, data: offset });
  }

  reply(id: number | undefined, data: unknown = null): void {
    this.send({ type: "reply", id, data });
  }

  refuse(id: number | undefined, code: string, message = "refused"): void {
    this.send({ type: "reply", id, error: { code, message } });
  }

  /** Resolves when the client has handled all frames, and its answers have arrived here. */
  async roundtrip(): Promise<void> {
    this.#socket.ping();
    await once(this.#socket, "pong");
  }

  close(code: number, reason = ""): void {
    this.#socket.close(code, reason);
  }

  /** Disconnects without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }
}

export interface ScriptedServer {
  /** The server of the room `/chat/general`. */
  readonly url: string;
  readonly port: number;
  readonly peers: Mailbox<Peer>;
  /** Handshakes that were refused, or are held without an answer. */
  readonly unanswered: Mailbox<Duplex>;
  /** The answer to future handshakes. Default: `accept`. */
  answer: "accept" | "refuse" | "hold";
  /** The HTTP status of refusals. Default: 503. */
  status: number;
  /** Called with each peer before anything else. */
  greet: (peer: Peer) => void;
  /** Resolves when earlier connections have arrived here. */
  settled(): Promise<void>;
}

/** A server that listens until the end of the test. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const server = createServer();
  const upgrades = new WebSocketServer({ noServer: true, handleProtocols: () => "enfilade.v1" });
  const sockets = new Set<Duplex>();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // The server listens to TCP.
  const { port } = server.address() as AddressInfo;
  const scripted: ScriptedServer = {
    url: `ws://127.0.0.1:${port}/chat/general`,
    port,
    peers: new Mailbox(),
    unanswered: new Mailbox(),
    answer: "accept",
    status: 503,
    greet: () => undefined,
    async settled() {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      await response.text();
    },
  };
  server.on("request", (_request, response) => response.end());
  server.on("connection", (socket) => sockets.add(socket));
  server.on("upgrade", (request, socket, head) => {
    if (scripted.answer !== "accept") scripted.unanswered.put(socket);
    if (scripted.answer === "refuse") socket.end(`HTTP/1.1 ${scripted.status} Refused\r\nConnection: close\r\n\r\n`);
    if (scripted.answer !== "accept") return;
    upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = new Peer(webSocket, request);
      scripted.greet(peer);
      scripted.peers.put(peer);
    });
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return scripted;
}

export interface ScriptedRoom extends ScriptedServer {
  readonly room: ClientRoom;
  readonly clock: ManualClock;
  /** Reported errors. */
  readonly errors: Error[];
  /** Each delay before an attempt, in milliseconds. */
  readonly delays: Mailbox<number | undefined>;
  /** Breaks the current connection, if any, and resolves with the next one. */
  reconnect(): Promise<Peer>;
}

/** A room that connects to a scripted server, with a clock that the test moves. */
export async function connectScripted(
  options: ConnectOptions = {},
  greet?: (peer: Peer) => void,
): Promise<ScriptedRoom> {
  const server = await startScriptedServer();
  if (greet !== undefined) server.greet = greet;
  const clock = new ManualClock();
  const room = connect(server.url, { WebSocket, clock, random: () => 1, ...options });
  const errors: Error[] = [];
  room.on("error", (error) => errors.push(error));
  onTestFinished(() => room.close());
  const delays = new Mailbox<number | undefined>();
  room.on("state", (state, { delayMs }) => state === "waiting" && delays.put(delayMs));
  const reconnect = async () => {
    const count = server.peers.all.length;
    server.peers.all.at(-1)?.terminate();
    await waitForState(room, "waiting");
    clock.advance(delays.all.at(-1) ?? 0);
    const peer = (await server.peers.have(count + 1))[count];
    if (peer === undefined) throw new Error("there is no peer");
    return peer;
  };
  return Object.assign(server, { room, clock, errors, delays, reconnect });
}

/** The events of a room from now on: the first argument of each event with a name. */
export function watch<Name extends keyof RoomEvents>(room: ClientRoom, event: Name): Mailbox<RoomEvents[Name][0]> {
  const mailbox = new Mailbox<RoomEvents[Name][0]>();
  room.on<Name>(event, (...[first]) => mailbox.put(first));
  return mailbox;
}

/** Resolves when the room is in this state. */
export async function waitForState(room: ClientRoom, state: string): Promise<void> {
  if (room.state === state) return;
  await new Promise<void>((resolve) => {
    const off = room.on("state", (now) => {
      if (now !== state) return;
      off();
      resolve();
    });
  });
}
