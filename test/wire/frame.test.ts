import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, EnfiladeError, WebSocketHandler } from "../../src/index.js";
import { encodeFrame, Opcode } from "../../src/server/websocket/frame.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { Payload } from "../../src/wire/payload.js";

const MiB = 1024 * 1024;
const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, MiB];
const limits = { messageBytesMax: 4 * MiB, outboxBytesMax: 16 * MiB };

/** Sends back its messages, text as text and bytes as bytes. */
class Echo extends WebSocketHandler {
  override onMessage(text = ""): void {
    this.sendText(text);
  }
  override onBinary(bytes: Uint8Array): void {
    this.sendBinary(bytes);
  }
}

function clientOf(handlerClass: new () => WebSocketHandler, compression = false): Promise<TestClient> {
  const app = new App({ limits, compression });
  app.route("/x", handlerClass);
  onTestFinished(() => app.close());
  return connect(app, "/x", { compression });
}

/** Bytes that differ from their neighbours, so that a shift or a gap is noticed. */
function bytesOf(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

describe("a frame", () => {
  it.each(lengths)("carries a text of %i bytes", async (length) => {
    const text = "abcdefghijklmnopqrstuvwxyz".repeat(Math.ceil(length / 26)).slice(0, length);
    class Sender extends Echo {
      onConnect(): void {
        this.sendText(text);
      }
    }
    const message = await (await clientOf(Sender)).read();
    expect(message.isText).toBe(true);
    expect(message.text === text).toBe(true);
  });

  it.each(lengths)("carries %i bytes", async (length) => {
    class Sender extends Echo {
      onConnect(): void {
        this.sendBinary(bytesOf(length));
      }
    }
    const message = await (await clientOf(Sender)).read();
    expect(message.isText).toBe(false);
    expect(sameBytes(message.bytes, bytesOf(length))).toBe(true);
  });

  it.each([false, true])("carries the messages of one tick in order (compression: %s)", async (compression) => {
    class Sender extends Echo {
      onConnect(): void {
        for (const length of lengths) {
          this.sendText("\u00e9".repeat(length));
          this.sendBinary(bytesOf(length));
        }
      }
    }
    const client = await clientOf(Sender, compression);
    for (const length of lengths) {
      expect((await client.readText()) === "\u00e9".repeat(length)).toBe(true);
      expect(sameBytes(await client.readBinary(), bytesOf(length))).toBe(true);
    }
  });

  it("carries any text there and back", async () => {
    const client = await clientOf(Echo);
    const text = fc.string({ unit: "grapheme", maxLength: 200, size: "max" });
    await fc.assert(
      fc.asyncProperty(text, async (sent) => {
        client.sendText(sent);
        expect(await client.readText()).toBe(sent);
      }),
    );
  });

  it("carries any bytes there and back", async () => {
    const client = await clientOf(Echo);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300, size: "max" }), async (sent) => {
        client.sendBinary(sent);
        expect(sameBytes(await client.readBinary(), sent)).toBe(true);
      }),
    );
  });

  it("carries any length there and back", async () => {
    const client = await clientOf(Echo);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 140_000 }), async (length) => {
        client.sendBinary(bytesOf(length));
        expect(sameBytes(await client.readBinary(), bytesOf(length))).toBe(true);
      }),
      { numRuns: 50, examples: lengths.map((length) => [length]) },
    );
  });

  it("carries any JSON", async () => {
    class JSONEcho extends WebSocketHandler {
      override onJSON(message: unknown): void {
        this.sendJSON(message);
      }
    }
    const client = await clientOf(JSONEcho);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ noUnicodeString: false }), async (value) => {
        client.sendJSON(value);
        expect(await client.readText()).toBe(JSON.stringify(JSON.parse(JSON.stringify(value))));
      }),
    );
  });

  it("carries a text with a lone surrogate as U+FFFD, which is UTF-8", async () => {
    class Sender extends Echo {
      onConnect(): void {
        this.sendText("a\ud800b");
      }
    }
    expect(await (await clientOf(Sender)).readText()).toBe("a\ufffdb");
  });

  it("carries a copy of the bytes", async () => {
    const buffer = bytesOf(1_000);
    class Sender extends Echo {
      onConnect(): void {
        this.sendBinary(buffer);
        buffer.fill(0);
        this.sendBinary(buffer.buffer);
        buffer.fill(255);
      }
    }
    const client = await clientOf(Sender);
    expect(sameBytes(await client.readBinary(), bytesOf(1_000))).toBe(true);
    expect(sameBytes(await client.readBinary(), new Uint8Array(1_000))).toBe(true);
  });

  it("carries a copy of the bytes to a room", async () => {
    const buffer = bytesOf(1_000);
    class Sender extends Echo {
      onConnect(): void {
        this.sendBinaryToThisRoom(buffer);
        buffer.fill(0);
      }
    }
    expect(sameBytes(await (await clientOf(Sender)).readBinary(), bytesOf(1_000))).toBe(true);
  });

  it("carries a copy of the bytes where they are compressed", async () => {
    const buffer = bytesOf(10_000);
    class Sender extends Echo {
      onConnect(): void {
        this.sendBinary(buffer);
        buffer.fill(0);
      }
    }
    expect(sameBytes(await (await clientOf(Sender, true)).readBinary(), bytesOf(10_000))).toBe(true);
  });

  it("carries the visible part of a buffer for any type of view", async () => {
    const { buffer } = bytesOf(32);
    class Sender extends Echo {
      onConnect(): void {
        this.sendBinary(new Uint8Array(buffer, 4, 8));
        this.sendBinary(new DataView(buffer, 3, 7));
        this.sendBinary(new Uint16Array(buffer, 2, 3));
        this.sendBinary(buffer.slice(1, 4));
        this.sendBinary(Buffer.from(buffer, 5, 2));
      }
    }
    const client = await clientOf(Sender);
    expect([...(await client.readBinary())]).toEqual([...bytesOf(32).slice(4, 12)]);
    expect([...(await client.readBinary())]).toEqual([...bytesOf(32).slice(3, 10)]);
    expect([...(await client.readBinary())]).toEqual([...bytesOf(32).slice(2, 8)]);
    expect([...(await client.readBinary())]).toEqual([...bytesOf(32).slice(1, 4)]);
    expect([...(await client.readBinary())]).toEqual([...bytesOf(32).slice(5, 7)]);
  });
});

describe("encodeFrame", () => {
  it.each([
    [0, [0x81, 0]],
    [125, [0x81, 125]],
    [126, [0x81, 126, 0, 126]],
    [65_535, [0x81, 126, 0xff, 0xff]],
    [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ])("writes the length %i in as few bytes as possible", (length, head) => {
    const frame = encodeFrame("a".repeat(length), Opcode.text);
    expect([...frame.subarray(0, head.length)]).toEqual(head);
    expect(frame).toHaveLength(head.length + length);
  });

  it("counts the bytes of a text, not its characters", () => {
    expect([...encodeFrame("\u00e9\u{1f600}", Opcode.text)]).toEqual([0x81, 6, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]);
  });

  it("has the opcode of bytes", () => {
    expect([...encodeFrame(new Uint8Array([1, 2]), Opcode.binary)]).toEqual([0x82, 2, 1, 2]);
  });
});

describe("Payload", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const broken = {
    toJSON(): never {
      throw new TypeError("broken");
    },
  };

  it.each<[what: string, value: unknown]>([
    ["undefined", undefined],
    ["a function", () => 1],
    ["a symbol", Symbol("a")],
    ["a BigInt", 7n],
    ["a BigInt within", { n: 7n }],
    ["a cycle", cycle],
    ["what toJSON turns into undefined", { toJSON: () => undefined }],
    ["what throws in toJSON", broken],
  ])("refuses %s as JSON", (_what, value) => {
    expect(() => Payload.json(value)).toThrow(EnfiladeError);
    expect(() => Payload.json(value)).toThrow(expect.objectContaining({ code: "ERR_VALUE" }));
  });

  it.each<[what: string, value: unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a number", 7],
    ["an object", { text: "a" }],
    ["a list", ["a"]],
    ["bytes", new Uint8Array(1)],
    ["a String object", Object("a")],
  ])("refuses %s as text", (_what, value) => {
    const use = () => Reflect.apply(Payload.text, Payload, [value]);
    expect(use).toThrow(expect.objectContaining({ code: "ERR_VALUE" }));
  });

  it.each<[what: string, value: unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a string", "abc"],
    ["a number", 7],
    ["a list of numbers", [1, 2]],
    ["an object with a length", { length: 2 }],
  ])("refuses %s as bytes", (_what, value) => {
    const use = () => Reflect.apply(Payload.binary, Payload, [value]);
    expect(use).toThrow(expect.objectContaining({ code: "ERR_VALUE" }));
  });

  it("throws at the sending handler, and keeps the connection if the handler catches it", async () => {
    class Careful extends WebSocketHandler {
      override onMessage(): void {
        try {
          this.sendJSON(7n);
        } catch (error) {
          this.sendText(String(Reflect.get(Object(error), "code")));
        }
      }
    }
    const client = await clientOf(Careful);
    client.sendText("");
    expect(await client.readText()).toBe("ERR_VALUE");
    client.sendText("");
    expect(await client.readText()).toBe("ERR_VALUE");
  });
});
