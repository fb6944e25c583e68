import type { Dice } from "../../../test/support/dice.js";
import { upgradeRequest } from "../../../test/support/raw.js";
import { inParallel, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import { judge } from "./handshakeJudge.js";

const atOnce = 24;
const answerMs = 6_000;

const values = [
  ...["websocket", "WebSocket", "h2c", "Upgrade", "keep-alive, Upgrade", "close", "13", "8", "", " ", "\t"],
  ...["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZQ==", "x".repeat(300), "127.0.0.1"],
  ...["chunked", "5", "0", "a,,b", "a, b", '"a"', "enfilade.v1", "permessage-deflate", "http://evil.example", "null"],
  ...["\x01", "a\x7fb", "\xff\xfe", "a;b=c", "permessage-deflate; client_max_window_bits=99", "x\ry"],
];
const names = [
  ...["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"],
  ...["Sec-WebSocket-Extensions", "Origin", "Content-Length", "Transfer-Encoding", "X-Other", "__proto__", "Cookie"],
  ...["Expect", "bad name", "", "X\x00", "Host ", "Te", "Trailer", "X-Forwarded-For"],
];
const targets = [
  ...["/echo/a", "/echo/a?x=1", "/echo/a/", "/nowhere", "/echo", "//echo/a", "/echo/../a", "/echo/%2e", "*", ""],
  ...["http://127.0.0.1/echo/a", "/echo/a#b", "/echo/a b", "/echo/\x80", `/echo/${"a".repeat(600)}`, "echo/a"],
  ...["/echo/<a>", "/echo/[a]", '/echo/{a|b}^`"'],
];
const methods = ["GET", "POST", "get", "OPTIONS", "CONNECT", "PUT", "G\x00T", "PRI", ""];
const versions = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", ""];

/** One change of a request: of a line, of a header, or of some of its bytes. */
function mutate(request: string, dice: Dice): string {
  const lines = request.split("\r\n");
  const at = dice.from(1, lines.length - 2);
  const [method, target, version] = (lines[0] ?? "").split(" ");
  switch (dice.from(0, 14)) {
    case 0:
      lines[0] = `${dice.of(methods)} ${target} ${version}`;
      break;
    case 1:
    case 2:
      lines[0] = `${method} ${dice.of(targets)} ${version}`;
      break;
    case 3:
      lines[0] = `${method} ${target} ${dice.of(versions)}`;
      break;
    case 4:
      lines.splice(at, 1);
      break;
    case 5:
      lines.splice(at, 0, lines[at] ?? "");
      break;
    case 6:
    case 7:
      lines.splice(at, 0, `${dice.of(names)}: ${dice.of(values)}`);
      break;
    case 8:
    case 9:
      lines[at] = `${(lines[at] ?? "").split(":")[0]}: ${dice.of(values)}`;
      break;
    case 10:
      lines[at] = (lines[at] ?? "").toUpperCase();
      break;
    case 11:
      return request.replace("\r\n", dice.roll() < 0.5 ? "\n" : "\r");
    case 12:
      return request.slice(0, dice.from(1, request.length));
    default: {
      const byte = dice.from(0, request.length);
      return request.slice(0, byte) + String.fromCharCode(dice.from(0, 256)) + request.slice(byte + 1);
    }
  }
  return lines.join("\r\n");
}

/** The status lines of the answers in these bytes, as far as they are HTTP. */
function statusesOf(answer: string): number[] {
  const statuses: number[] = [];
  let rest = answer;
  for (;;) {
    const found = /^HTTP\/1\.[01] (\d{3})/.exec(rest);
    if (found === null) return statuses;
    const status = Number(found[1]);
    statuses.push(status);
    // After the upgrade there are frames.
    const end = rest.indexOf("\r\n\r\n");
    if (status === 101 || end === -1) return statuses;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(rest.slice(0, end))?.[1] ?? 0);
    rest = rest.slice(end + 4 + length);
  }
}

async function attempt(scene: Scene, port: number, request: string): Promise<void> {
  const verdict = judge(request);
  const client = await RawSocket.dial(port);
  let answer = "";
  client.socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString("latin1");
    if (answer.startsWith("HTTP/1.1 101")) client.destroy();
    // Else a plain answer would keep the connection alive. Another answer can still come.
    else client.socket.end();
  });
  client.socket.write(request, "latin1");
  // A server waits for the rest of an unfinished request; this end tells it that none comes.
  if (verdict === "unfinished") client.socket.end();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    client.destroy();
  }, answerMs);
  await client.ended;
  clearTimeout(timer);
  const statuses = statusesOf(answer);
  const shown = JSON.stringify(request.slice(0, 400));
  if (verdict === "invalid" && statuses.includes(101)) scene.fail(`a wrong 101: expected a refusal of ${shown}`);
  if (verdict === "valid" && statuses[0] !== 101) scene.fail(`expected 101, came ${statuses} for ${shown}`);
  if (verdict !== "unfinished" && statuses.length !== 1) {
    scene.fail(`expected one answer${isLate ? ` in ${answerMs} ms` : ""}, came ${statuses.length} to ${shown}`);
  }
}

export const mutatedHandshakes: Row = {
  number: 3,
  title: "mutated handshakes",
  expected: "0 exceptions, 0 wrong 101, one answer each",
  seconds: 900,
  async run(scene) {
    const server = await scene.start();
    const total = scene.pick(100_000, 2_000);
    const base = { Host: `127.0.0.1:${server.port}`, Cookie: "a=b", "User-Agent": "hostile" };
    await inParallel(total, atOnce, async () => {
      let request = upgradeRequest("/echo/a", base);
      for (let n = scene.dice.from(0, 3); n >= 0; n -= 1) request = mutate(request, scene.dice);
      // The judge reads what is sent: bytes.
      await attempt(scene, server.port, Buffer.from(request, "latin1").toString("latin1"));
    });
    scene.show("handshakes", total);
    await scene.until("no handshake is left", 10_000, async () => {
      const { handshakes, connections } = await server.status();
      return handshakes === 0 && connections <= 1;
    });
    scene.equal("errors of the app", (await server.log()).errors.slice(0, 3), []);
  },
};
