import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConnectionError, WebSocketHandler } from "../../src/index.js";
import { closes, Mailbox, startWith } from "../support/app.js";
import { clientFrame, rawConnection } from "../support/raw.js";

/** Values that a `serve()` reports to the test. */
const reported = new Mailbox<unknown>();

describe("the custom loop", () => {
  it("ends on a clean close, and serve() ends the connection with 1000 when it returns", async () => {
    class Loop extends WebSocketHandler {
      async serve() {
        for await (const message of this.connection) {
          if (message.isText && message.text === "stop") break;
          this.sendJSON(message.isText ? message.text : [...message.bytes]);
        }
        reported.put("over");
      }
    }
    reported.all.length = 0;
    const { open, errors } = await startWith("/loop", Loop);
    const client = await open("/loop");
    client.sendText("a");
    client.sendBinary(new Uint8Array([1]));
    expect([await client.readJSON(), await client.readJSON()]).toEqual(["a", [1]]);
    client.sendText("stop");
    expect(await client.closed).toMatchObject({ code: 1000 });
    await (await open("/loop")).close(4004);
    expect(await reported.have(2)).toEqual(["over", "over"]);
    expect(errors).toEqual([]);
  });

  it("throws a ConnectionError if the connection failed; a serve() that ends with it ended normally", async () => {
    class Loop extends WebSocketHandler {
      async serve() {
        try {
          for await (const message of this.connection) reported.put(message.text);
        } catch (error) {
          reported.put(error);
          throw error;
        }
      }
    }
    reported.all.length = 0;
    const { open, errors, port, app } = await startWith("/loop", Loop);
    const closed = closes(app, 2);
    (await open("/loop")).terminate();
    const raw = await rawConnection(port, "/loop");
    raw.socket.write(Buffer.concat([clientFrame(0x81, "last words"), clientFrame(0x83, "")]));
    await closed;
    expect(reported.all.filter((one) => one instanceof ConnectionError)).toMatchObject([
      { closeCode: 1006, isClean: false, by: "network" },
      { closeCode: 1002, isClean: false, by: "server", closeReason: "protocol error" },
    ]);
    expect(reported.all).toContain("last words");
    expect(errors).toEqual([]);
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });

  it("reads messages, texts and JSON one by one; a value that does not fit rejects only that read", async () => {
    const Order = z.object({ dish: z.string(), count: z.coerce.number() });
    class Waiter extends WebSocketHandler {
      async serve() {
        for (let round = 0; round < 5; round += 1) {
          const order = await this.connection.readJSON(Order).catch((error: unknown) => error);
          reported.put(order);
        }
        reported.put(await this.connection.readText().catch((error: unknown) => error));
        reported.put(await this.connection.readText());
        reported.put(await this.connection.readJSON());
        reported.put(await this.connection.read().catch((error: unknown) => error));
        reported.put(await this.connection.read().catch((error: unknown) => error));
      }
    }
    reported.all.length = 0;
    const client = await (await startWith("/waiter", Waiter)).open("/waiter");
    client.sendJSON({ dish: "soup", count: "2" });
    client.sendText("{");
    client.sendJSON({ dish: 7, count: 1 });
    client.sendBinary(new Uint8Array(1));
    client.sendJSON({ dish: "tea", count: 1 });
    client.sendBinary(new Uint8Array(1));
    client.sendText("plain");
    client.sendJSON([1]);
    await client.close(4010, "sated");
    expect(await reported.have(10)).toMatchObject([
      { dish: "soup", count: 2 },
      { code: "ERR_BAD_JSON" },
      { code: "ERR_SCHEMA", issues: [{ path: "dish", message: expect.any(String) }] },
      { code: "ERR_NOT_TEXT" },
      { dish: "tea", count: 1 },
      { code: "ERR_NOT_TEXT" },
      "plain",
      [1],
      { closeCode: 4010, closeReason: "sated", isClean: true, by: "client" },
      { closeCode: 4010, closeReason: "sated", isClean: true, by: "client" },
    ]);
  });

  it("may read ahead, and a client that leaves meanwhile causes no unhandled rejection", async () => {
    class Ahead extends WebSocketHandler {
      async serve() {
        const reads = this.connection.readJSON();
        reported.put("reading");
        await this.connection.ended;
        await new Promise((resolve) => setImmediate(resolve));
        reported.put(await reads.catch((error: unknown) => error));
      }
    }
    reported.all.length = 0;
    const { open, errors } = await startWith("/ahead", Ahead);
    const client = await open("/ahead");
    await reported.have(1);
    await client.close();
    expect(await reported.have(2)).toMatchObject(["reading", { closeCode: 1005, isClean: true }]);
    expect(errors).toEqual([]);
  });

  it("refuses a second read at the same time, and a read with onMessage", async () => {
    class Greedy extends WebSocketHandler {
      async serve() {
        const first = this.connection.read();
        reported.put(await this.connection.read().catch((error: unknown) => error));
        reported.put((await first).text);
      }
    }
    class Beside extends WebSocketHandler {
      async onMessage() {
        reported.put(await this.connection.read().catch((error: unknown) => error));
      }
    }
    reported.all.length = 0;
    (await (await startWith("/greedy", Greedy)).open("/greedy")).sendText("one");
    expect(await reported.have(2)).toMatchObject([{ code: "ERR_READING" }, "one"]);
    (await (await startWith("/beside", Beside)).open("/beside")).sendText("one");
    expect(await reported.have(3)).toMatchObject([
      {},
      {},
      { code: "ERR_READING", message: expect.stringContaining("serve()") },
    ]);
  });

  it("closes with 1007 if a failed read is not caught, and calls only onError", async () => {
    class Strict extends WebSocketHandler {
      async serve() {
        reported.put(await this.connection.readJSON(z.object({ name: z.string() })));
      }
      override onError(error: Error) {
        reported.put(error);
      }
    }
    reported.all.length = 0;
    const { open, errors } = await startWith("/strict", Strict);
    const client = await open("/strict");
    client.sendJSON({ nme: 1 });
    expect(await client.closed).toMatchObject({ code: 1007, reason: "the message is not valid" });
    expect(await reported.have(1)).toMatchObject([{ code: "ERR_SCHEMA" }]);
    expect(errors).toEqual([]);
  });

  it("calls onClose even if onError throws for such a read", async () => {
    class Worse extends WebSocketHandler {
      async serve() {
        await this.connection.readJSON();
      }
      override onError() {
        throw new Error("in onError");
      }
      override onClose(code: number) {
        reported.put(code);
      }
    }
    reported.all.length = 0;
    const { open, errors, app } = await startWith("/worse", Worse);
    const closed = closes(app, 1);
    (await open("/worse")).sendText("{");
    await closed;
    expect(reported.all).toEqual([1007]);
    expect(errors.map(({ message }) => message)).toEqual(["in onError"]);
  });

  it("reports an error of serve(), and closes with 1011", async () => {
    class Broken extends WebSocketHandler {
      async serve() {
        await this.connection.read();
        throw new Error("broken");
      }
    }
    const { open, errors } = await startWith("/broken", Broken);
    const client = await open("/broken");
    client.sendText("x");
    expect(await client.closed).toMatchObject({ code: 1011, reason: "internal error" });
    expect(errors).toMatchObject([{ message: "broken" }]);
  });

  it("ends at once if the server closes the connection elsewhere", async () => {
    class Loop extends WebSocketHandler {
      async serve() {
        reported.put("reading");
        for await (const message of this.connection) reported.put(message.text);
        reported.put("over");
      }
    }
    reported.all.length = 0;
    const { open, app } = await startWith("/loop", Loop);
    const client = await open("/loop");
    await reported.have(1);
    app.registry.connections[0]?.close(4000);
    expect(await reported.have(2)).toEqual(["reading", "over"]);
    expect(await client.closed).toMatchObject({ code: 4000 });
  });
});

describe("closing a connection", () => {
  it("delivers earlier messages first, and nothing sent after", async () => {
    class Last extends WebSocketHandler {
      onMessage() {
        for (let n = 0; n < 100; n += 1) this.sendJSON(n);
        this.close(4000, "done");
        this.sendText("never");
        this.close(4001, "never");
      }
    }
    const client = await (await startWith("/last", Last)).open("/last");
    client.sendText("");
    const seen: unknown[] = [];
    for await (const message of client) seen.push(message.json());
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(await client.closed).toMatchObject({ code: 4000, reason: "done" });
  });

  it("answers earlier messages before the client's close frame, in one packet", async () => {
    class Echo extends WebSocketHandler {
      onMessage(text: string) {
        this.sendText(text);
      }
    }
    const { port } = await startWith("/echo", Echo);
    const client = await rawConnection(port, "/echo");
    client.socket.write(Buffer.concat([clientFrame(0x81, "last"), clientFrame(0x88, Buffer.from([0x0f, 0xa0]))]));
    const received = await client.ended;
    expect(received.subarray(received.indexOf("\r\n\r\n") + 4).toString("latin1")).toBe("\x81\x04last\x88\x02\x0f\xa0");
  });

  it("is not taken for slowness if the last message is large", async () => {
    class Large extends WebSocketHandler {
      onMessage() {
        this.sendBinary(new Uint8Array(12_000_000));
        this.sendText("last");
        this.close(4000, "all said");
      }
      override onClose(code: number, reason: string) {
        reported.put([code, reason]);
      }
    }
    reported.all.length = 0;
    const { open } = await startWith("/large", Large, { limits: { outboxBytesMax: 100 } });
    const client = await open("/large");
    client.sendText("");
    expect([(await client.readBinary()).length, await client.readText()]).toEqual([12_000_000, "last"]);
    expect(await client.closed).toMatchObject({ code: 4000, reason: "all said" });
    expect(await reported.have(1)).toEqual([[4000, "all said"]]);
  });

  it("ends with the close code after closeMs, even if the client never answers", async () => {
    class Quiet extends WebSocketHandler {
      onMessage() {
        this.close(4000, "answer me");
      }
      override onClose(code: number, reason: string) {
        reported.put([code, reason]);
      }
    }
    reported.all.length = 0;
    const { port, app } = await startWith("/quiet", Quiet, { limits: { closeMs: 50 } });
    const client = await rawConnection(port, "/quiet");
    const [connection] = app.registry.connections;
    client.socket.write(clientFrame(0x81, "x"));
    expect(await reported.have(1)).toEqual([[4000, "answer me"]]);
    expect(await connection?.ended).toEqual({ code: 4000, reason: "answer me", isClean: false, by: "server" });
  });

  it("on request lets the handler finish with received messages, reply, and then closes", async () => {
    class Polite extends WebSocketHandler {
      async onMessage(text: string) {
        if (text === "1") this.connection.requestClose(4002, "after you");
        await new Promise((resolve) => setImmediate(resolve));
        this.sendText(`did ${text}`);
      }
    }
    const { open } = await startWith("/polite", Polite);
    const client = await open("/polite");
    client.sendText("1");
    expect(await client.readText()).toBe("did 1");
    expect(await client.closed).toMatchObject({ code: 4002, reason: "after you" });
  });
});

describe("flushed() and bufferedBytes", () => {
  it("tell when sent messages have left the process", async () => {
    class Big extends WebSocketHandler {
      async onMessage() {
        this.sendBinary(new Uint8Array(50_000));
        reported.put(this.connection.bufferedBytes);
        await this.connection.flushed();
        reported.put(this.connection.bufferedBytes);
      }
    }
    reported.all.length = 0;
    const client = await (await startWith("/big", Big)).open("/big");
    client.sendText("");
    expect((await client.readBinary()).length).toBe(50_000);
    const [before, after] = await reported.have(2);
    expect(before).toBe(50_004);
    expect(after).toBe(0);
  });
});
