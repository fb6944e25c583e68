import { once } from "node:events";
import { createServer } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { inParallel } from "../../../../hostile/clients/rawSocket.js";
import { App, type AppOptions, WebSocketHandler } from "../../../../src/index.js";
import { Dice } from "../../../support/dice.js";
import { rawClient, upgradeRequest } from "../../../support/raw.js";

/** `ORACLE_SEED=7 npx vitest run test/server/websocket/oracle` repeats the random cases. */
const seed = Number(process.env.ORACLE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const subprotocols = ["chat.v2", "chat.v1", "a"];
const atOnce = 8;
const cases = 400;

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

async function listen(prepare: (server: ReturnType<typeof createServer>) => () => unknown): Promise<number> {
  const server = createServer();
  const close = prepare(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    await close();
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function appWith(receiver: "direct" | "ws", compression: boolean): Promise<number> {
  const options: AppOptions = { receiver, compression, subprotocols };
  return listen((server) => {
    const app = new App(options).route("/x", Echo).attach(server);
    return () => app.close({ timeoutMs: 100 });
  });
}

/** A server of ws alone, with the options that the library gives it. */
function bareWs(compression: boolean): Promise<number> {
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: compression && { serverNoContextTakeover: true },
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  });
  return listen((server) => {
    server.on("upgrade", (request, socket, head) => webSockets.handleUpgrade(request, socket, head, () => undefined));
    return () => {
      for (const client of webSockets.clients) client.terminate();
    };
  });
}

/** The status of an answer, and the fields of an accepted handshake in alphabetical order. */
async function answerOf(port: number, request: string): Promise<string[]> {
  const client = await rawClient(port);
  client.socket.write(request, "latin1");
  await client.received("\r\n\r\n");
  client.socket.destroy();
  const [head = ""] = String(await client.ended).split("\r\n\r\n");
  const [status = "", ...fields] = head.split("\r\n");
  return status.includes(" 101 ") ? [status, ...fields.sort()] : [status.slice(9, 12)];
}

const again = (name: string) => (value: string) => `a\r\n${name}: ${value}`;
const offers = {
  protocols: [
    ...[undefined, undefined, "a", "chat.v1", "chat.v2", "chat.v1, chat.v2", "other", "other,a", "a ,\tchat.v1", "A"],
    ...["", ",", "a,", ",a", "a,,b", "a a", "a, a", "chat.v1,chat.v1", "a/b", "(a)", '"a"', "\xe9", "a\xa0", "a;q=1"],
    ...["token.\t", "a,chat.v2\t", "x, y, z, chat.v2", "!#$%&'*+-.^_`|~", "__proto__", "a".repeat(4_000)],
    ...["b", "a", "", "chat.v1,", "chat.v2"].map(again("Sec-WebSocket-Protocol")),
  ],
  extensions: [
    ...[undefined, undefined, "permessage-deflate", "permessage-deflate; client_max_window_bits", "x-other", ""],
    ...["permessage-deflate; server_no_context_takeover", "permessage-deflate; client_max_window_bits=9", "x; y=1, z"],
    ...["permessage-deflate; unknown", "permessage-deflate; client_max_window_bits=7", ";", ",", "permessage-deflate;"],
    ...["permessage-deflate; server_no_context_takeover; server_no_context_takeover", 'x; y="a b', "\xe9"],
  ],
  keys: [
    ...Array.from({ length: 5 }, () => "dGhlIHNhbXBsZSBub25jZQ=="),
    ...[
      "AAAAAAAAAAAAAAAAAAAAAA==",
      "++//++//++//++//++//++==",
      "dGhlIHNhbXBsZSBub25jZQ",
      "",
      "dGhlIHNhbXBsZSBub25jZQ= ",
    ],
    ...[undefined, "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQ==\t", "dGhlIHNhbXBsZSBub25j\xe9Q=="],
  ],
};

it.each([false, true])("answers handshakes as ws does, with compression: %s", async (compression) => {
  console.info(`handshakes: ORACLE_SEED=${seed}`);
  const dice = new Dice(seed);
  const ports = [await bareWs(compression), await appWith("ws", compression), await appWith("direct", compression)];
  const statuses = new Map<string, number>();
  const requests = Array.from({ length: cases }, () =>
    upgradeRequest("/x", {
      "Sec-WebSocket-Protocol": dice.of(offers.protocols),
      "Sec-WebSocket-Extensions": dice.of(offers.extensions),
      "Sec-WebSocket-Key": dice.of(offers.keys),
    }),
  );
  await inParallel(cases, atOnce, async (n) => {
    const request = requests[n] ?? "";
    const [expected, ...came] = await Promise.all(ports.map((port) => answerOf(port, request)));
    for (const answer of came) expect(answer, request).toEqual(expected);
    const status = expected?.[0] ?? "";
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  expect([...statuses.keys()].sort()).toEqual(["400", "HTTP/1.1 101 Switching Protocols"]);
  for (const count of statuses.values()) expect(count).toBeGreaterThan(cases / 10);
});
