import { describe, expect, it } from "vitest";
import { WebSocketHandler } from "../../src/index.js";
import { startWith } from "../support/app.js";
import { answerTo, clientFrame, rawClient, rawConnection, upgradeRequest } from "../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** A running app, and a check that it still serves clients. */
async function startServer() {
  const running = await startWith("/chat/:channel", Echo);
  const alive = async () => {
    const client = await running.open("/chat/alive");
    client.sendText("alive");
    const text = await client.readText();
    client.terminate();
    return text;
  };
  return { ...running, alive };
}

const status = (answer: string) => answer.slice(9, 12);

describe("a path that is no room path", () => {
  it.each([
    "/chat/./x",
    "/chat/../x",
    "/chat/..",
    "/chat/%2e%2e/x",
    "/chat/%2E",
    "//chat/x",
    "/chat//x",
    "/chat/x//",
    "/chat/a%2fb",
    "/chat/a%2Fb",
    "/chat/a%5Cb",
    "/chat/a\\b",
    "/chat/a%3Fb",
    "/chat/a%23b",
    "/chat/a#b",
    "/chat/%00",
    "/chat/a%0d%0aSet-Cookie:x",
    "/chat/%7f",
    "/chat/%C2%85",
    "/chat/%E2%80%AE",
    "/chat/%E2%81%A6x",
    "/chat/%",
    "/chat/%4",
    "/chat/%zz",
    "/chat/%ff",
    "/chat/%C0%AF",
    "/chat/%ED%A0%80",
    "http://localhost/chat/x",
    `/chat/${"x".repeat(510)}`,
    `/chat/${"%41".repeat(510)}`,
    `/chat${"/x".repeat(16)}`,
    "*",
    "chat/x",
  ])("(%s) is answered with 400, and the server survives", async (target) => {
    const { port, alive, app, errors } = await startServer();
    const answer = await answerTo(port, upgradeRequest(target));
    expect(status(answer)).toBe("400");
    // Node refuses invalid HTTP itself. Other requests get our phrase, which does not echo the path.
    expect(answer).toMatch(/The path is not valid$|^HTTP\/1.1 400 Bad Request\r\nConnection: close\r\n\r\n$/);
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, totals: { opened: 0 } });
    expect(await alive()).toBe("alive");
    expect(errors).toEqual([]);
  });
});

describe("a request that is no handshake", () => {
  it.each([
    ["a route that is not there", upgradeRequest("/nowhere"), "404"],
    ["GET without upgrade", upgradeRequest("/chat/x", { Upgrade: undefined, Connection: "close" }), "426"],
    ["POST without upgrade", upgradeRequest("/chat/x", { Upgrade: undefined, Connection: "close" }, "POST"), "426"],
    ["GET elsewhere", upgradeRequest("/nowhere", { Upgrade: undefined, Connection: "close" }), "404"],
    ["GET of a bad path", upgradeRequest("/a/../b", { Upgrade: undefined, Connection: "close" }), "400"],
    ["an upgrade to something else", upgradeRequest("/chat/x", { Upgrade: "h2c" }), "426"],
    ["an upgrade by POST", upgradeRequest("/chat/x", {}, "POST"), "405"],
    ["no key", upgradeRequest("/chat/x", { "Sec-WebSocket-Key": undefined }), "400"],
    ["a bad key", upgradeRequest("/chat/x", { "Sec-WebSocket-Key": "short" }), "400"],
    ["an old version", upgradeRequest("/chat/x", { "Sec-WebSocket-Version": "7" }), "426"],
    ["bad subprotocols", upgradeRequest("/chat/x", { "Sec-WebSocket-Protocol": "a,,b" }), "400"],
    ["a foreign origin", upgradeRequest("/chat/x", { Origin: "https://evil.example" }), "403"],
  ])("(%s) is answered, and the server survives", async (_name, request, expected) => {
    const { port, alive, app } = await startServer();
    const answer = await answerTo(port, request);
    expect(status(answer)).toBe(expected);
    if (expected === "426") expect(answer.toLowerCase()).toContain("upgrade: websocket");
    expect(app.status()).toMatchObject({ connections: 0, handshakes: 0 });
    expect(await alive()).toBe("alive");
  });

  it("accepts Upgrade: WebSocket in any case", async () => {
    const { port } = await startServer();
    const client = await rawClient(port);
    client.socket.write(upgradeRequest("/chat/x", { Upgrade: "WebSocket", Connection: "keep-alive, UPGRADE" }));
    await client.received("HTTP/1.1 101");
    client.socket.destroy();
    expect(String(await client.ended)).toContain("101 Switching Protocols");
  });
});

describe("requests sent in one packet", () => {
  const plainGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

  it.each(["/nowhere", "/chat/x"])(
    "a plain request and an upgrade to %s end the connection, not the process",
    async (path) => {
      const { port, alive, app, errors } = await startServer();
      const answer = await answerTo(port, plainGet + upgradeRequest(path));
      expect(answer).not.toContain("101 Switching");
      expect(await alive()).toBe("alive");
      expect([app.status().handshakes, errors]).toEqual([0, []]);
    },
  );

  it("two upgrades make one connection: the second is read as invalid frames", async () => {
    const { port, alive } = await startServer();
    const answer = await answerTo(port, upgradeRequest("/chat/x") + upgradeRequest("/chat/y"));
    expect(answer.match(/101 Switching/g)).toHaveLength(1);
    expect(await alive()).toBe("alive");
  });
});

describe("a client that misbehaves on an open connection", () => {
  it.each([
    ["a continuation of nothing", clientFrame(0x80, "x"), 1002],
    ["a reserved bit", clientFrame(0xc1, "x"), 1002],
    ["a fragmented ping", clientFrame(0x09, ""), 1002],
    ["a close frame of one byte", clientFrame(0x88, "x"), 1002],
    ["a close code that must not be sent", clientFrame(0x88, Buffer.from([0x03, 0xed])), 1002],
    ["a new message within another", Buffer.concat([clientFrame(0x01, "x"), clientFrame(0x01, "y")]), 1002],
    ["binary where none is read", clientFrame(0x82, "x"), 1003],
    ["a message that is too large", clientFrame(0x81, "", 0xffff + 1 - 1), 1009],
  ])("(%s) is closed with its code, and the server survives", async (name, bytes, code) => {
    const { port, alive, app } = await startServer();
    const client = await rawConnection(port, "/chat/x");
    const big = name === "a message that is too large";
    // The limit is 64 KiB. One byte more in the header is enough.
    client.socket.write(big ? Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]) : bytes);
    const received = await client.ended;
    const frame = received.subarray(received.indexOf("\r\n\r\n") + 4);
    expect([frame[0], frame.readUInt16BE(2)]).toEqual([0x88, code]);
    expect(await alive()).toBe("alive");
    expect(app.status().connections).toBeLessThanOrEqual(1);
  });

  it("may flood pings or empty messages, and disconnect at any point", async () => {
    const { port, alive, errors } = await startServer();
    for (const bytes of [
      Buffer.concat(Array.from({ length: 2_000 }, () => clientFrame(0x89, "x"))),
      Buffer.concat(Array.from({ length: 2_000 }, () => clientFrame(0x81, ""))),
      clientFrame(0x81, "half a message").subarray(0, 9),
    ]) {
      const client = await rawConnection(port, "/chat/x");
      client.socket.write(bytes);
      client.socket.resetAndDestroy();
      expect(await alive()).toBe("alive");
    }
    expect(errors).toEqual([]);
  });
});
