import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A client that sends any bytes. */
export interface RawClient {
  readonly socket: Socket;
  /** Resolves with all received bytes when the server has ended the connection. */
  readonly ended: Promise<Buffer>;
  /** Resolves when the received bytes contain `text`. */
  received(text: string): Promise<void>;
}

/** @param localAddress The address of the client, such as `127.0.0.2`. */
export async function rawClient(port: number, localAddress = "127.0.0.1"): Promise<RawClient> {
  // Each write leaves at once, and not after the answer to the one before.
  const socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
  onTestFinished(() => {
    socket.destroy();
  });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  // Some of these connections end with a reset on purpose.
  socket.on("error", () => socket.destroy());
  const ended = once(socket, "close").then(() => Buffer.concat(chunks));
  await once(socket, "connect");
  const received = async (text: string) => {
    while (!Buffer.concat(chunks).toString("latin1").includes(text)) await once(socket, "data");
  };
  return { socket, ended, received };
}

/** The head of a request. A header may be changed, or removed with `undefined`. */
export function upgradeRequest(
  target: string,
  changes: Record<string, string | undefined> = {},
  method = "GET",
): string {
  const headers: Record<string, string | undefined> = {
    Host: "localhost",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...changes,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return [`${method} ${target} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** An upgraded raw connection. */
export async function rawConnection(port: number, target: string): Promise<RawClient> {
  const client = await rawClient(port);
  client.socket.write(upgradeRequest(target));
  await client.received("\r\n\r\n");
  return client;
}

/** Resolves when the server has read all earlier bytes on any connection of this process. */
export async function readByServer(port: number, target: string): Promise<void> {
  const probe = await rawConnection(port, target);
  probe.socket.write(closeFrame);
  await probe.ended;
}

const closeFrame = clientFrame(0x88, Buffer.from([0x03, 0xe8]));

/** The status line and the rest of the answer to bytes on a new connection. */
export async function answerTo(port: number, bytes: string | Buffer): Promise<string> {
  const client = await rawClient(port);
  client.socket.write(bytes, "latin1");
  return (await client.ended).toString("latin1");
}

/** A masked frame from a client (RFC 6455 5.2); `first` is FIN, reserved bits and opcode. */
export function clientFrame(first: number, data: Uint8Array | string, length = data.length): Buffer {
  const bytes = Buffer.from(data as string);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head = length < 126 ? Buffer.from([first, 0x80 | length]) : Buffer.alloc(4);
  if (length >= 126) {
    head[0] = first;
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  }
  const masked = bytes.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([head, mask, masked]);
}
