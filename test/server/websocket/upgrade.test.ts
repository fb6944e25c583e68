import { once } from "node:events";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, type AppOptions, anonymous, WebSocketHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { closes, Mailbox, startWith } from "../../support/app.js";
import { answerTo, clientFrame, rawClient, upgradeRequest } from "../../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

const valid = upgradeRequest("/x");
const v1 = upgradeRequest("/nowhere", { "Sec-WebSocket-Protocol": "enfilade.v1" });
const withLine = (line: string) => valid.replace(/\r\n\r\n$/, `\r\n${line}\r\n\r\n`);

describe("a handshake that RFC 6455 4.2.1 does not allow", () => {
  it.each([
    ["no Host", upgradeRequest("/x", { Host: undefined }), "400"],
    ["an empty Host", upgradeRequest("/x", { Host: "" }), "400"],
    ["two Hosts", withLine("Host: localhost"), "400"],
    ["two Hosts in other letters", withLine("hOST: evil.example"), "400"],
    ["a Host with a path", upgradeRequest("/x", { Host: "localhost/x" }), "400"],
    ["a Host with a user", upgradeRequest("/x", { Host: "evil@localhost" }), "400"],
    ["a list of Hosts", upgradeRequest("/x", { Host: "localhost, evil.example" }), "400"],
    ["HTTP/1.0", valid.replace("HTTP/1.1", "HTTP/1.0"), "505"],
    ["HTTP/1.0 for a client of enfilade.v1", v1.replace("HTTP/1.1", "HTTP/1.0"), "505"],
    ["HTTP/2.0 in an HTTP/1.1 connection", valid.replace("HTTP/1.1", "HTTP/2.0"), "505"],
    ["HTTP/0.9", valid.replace("HTTP/1.1", "HTTP/0.9"), "505"],
    ["a body", `${withLine("Content-Length: 5")}hello`, "400"],
    ["a chunked body", `${withLine("Transfer-Encoding: chunked")}0\r\n\r\n`, "400"],
    ["two Upgrades", withLine("Upgrade: websocket"), "426"],
    ["two keys", withLine("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "400"],
    ["two versions", withLine("Sec-WebSocket-Version: 13"), "426"],
  ])("(%s) is refused, and calls no authorize", async (_name, request, status) => {
    let asked = 0;
    class Counting extends Echo {
      override authorize() {
        asked += 1;
        return anonymous;
      }
    }
    const { port, app } = await startWith("/x", Counting);
    const answer = await answerTo(port, request);
    // Node answers some of these itself.
    expect([answer.slice(9, 12), "400"]).toContain(status);
    expect(answer).not.toContain("101 Switching");
    expect([asked, app.status().connections]).toEqual([0, 0]);
  });

  it("may have an empty body, and a port in its Host", async () => {
    const { port } = await startWith("/x", Echo);
    for (const request of [withLine("Content-Length: 0"), upgradeRequest("/x", { Host: "[::1]:8000" })]) {
      const client = await rawClient(port);
      client.socket.write(request);
      await client.received("101 Switching Protocols");
    }
  });
});

it("answers CONNECT with 405", async () => {
  const { port } = await startWith("/x", Echo);
  const answer = await answerTo(port, "CONNECT /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 405 [\s\S]*allow: GET\r\n/i);
});

describe("a client that sends without end", () => {
  const flood = Buffer.alloc(32 * 1024 * 1024, 0xff);

  it.each([
    ["after a frame that RFC 6455 does not allow", valid, "101 Switching Protocols"],
    ["after it was refused", upgradeRequest("/nowhere"), "404 Not Found"],
  ])("%s is not read to its end", async (_name, request, answer) => {
    const server = createServer();
    const accepted = once(server, "connection");
    const app = new App({ limits: { closeMs: 300 } }).route("/x", Echo).attach(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(async () => {
      await app.close();
      server.close();
    });
    const address = server.address();
    const client = await rawClient(typeof address === "object" && address !== null ? address.port : 0);
    const [socket]: Socket[] = await accepted;
    if (socket === undefined) throw new Error("there is no socket");
    client.socket.write(request);
    await client.received(answer);
    client.socket.write(flood);
    await expect(client.ended).rejects.toThrow(/EPIPE|ECONNRESET/);
    if (!socket.closed) await once(socket, "close");
    expect(socket.bytesRead).toBeLessThan(flood.length / 8);
  });
});

describe("a client that closes its side while authorize decides", () => {
  /** An app whose authorize waits for `answers`. */
  async function startWaiting(options: AppOptions = {}) {
    const signals = new Mailbox<AbortSignal>();
    const answers: (() => void)[] = [];
    class Waits extends Echo {
      override authorize() {
        signals.put(this.signal);
        return new Promise<typeof anonymous>((resolve) => answers.push(() => resolve(anonymous)));
      }
    }
    const running = await startWith("/x", Waits, options);
    // The app closes after this, and a clock that stands still would let it wait forever.
    onTestFinished(() => {
      for (const answer of answers) answer();
    });
    return { ...running, signals, answers };
  }

  it.each(["", "early bytes"])(
    "gives its place to the next one at once, and aborts this.signal (%j)",
    async (early) => {
      const options = { limits: { connectionsMax: 1 }, clock: new ManualClock() };
      const { port, app, signals } = await startWaiting(options);
      const first = await rawClient(port);
      first.socket.write(valid);
      const [signal] = await signals.have(1);
      const aborted = new Promise((resolve) => signal?.addEventListener("abort", resolve));
      first.socket.end(early);
      await aborted;
      expect(app.status()).toMatchObject({ handshakes: 0, totals: { opened: 0 } });
      const second = await rawClient(port);
      second.socket.write(valid);
      await signals.have(2);
      expect(app.status().handshakes).toBe(1);
    },
  );

  it("is closed if it sends more than a few bytes before it is accepted", async () => {
    const { port, signals } = await startWaiting({ clock: new ManualClock() });
    const client = await rawClient(port);
    client.socket.write(valid);
    await signals.have(1);
    client.socket.write(Buffer.alloc(20_000));
    expect((await client.ended).length).toBe(0);
  });

  it("loses nothing of what it sent before, if it does not close", async () => {
    const { port, app, signals, answers } = await startWaiting();
    const client = await rawClient(port);
    client.socket.write(Buffer.concat([Buffer.from(valid), clientFrame(0x81, "one")]));
    await signals.have(1);
    client.socket.write(clientFrame(0x81, "two"));
    await new Promise((resolve) => setImmediate(resolve));
    answers.shift()?.();
    await client.received("two");
    const closed = closes(app, 1);
    client.socket.write(clientFrame(0x81, "three"));
    await client.received("three");
    client.socket.destroy();
    await closed;
  });
});
