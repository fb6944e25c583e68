import { describe, expect, it, onTestFinished } from "vitest";
import { type Limits, WebSocketHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { Mailbox, startWith } from "../../support/app.js";
import { clientFrame, rawClient, rawConnection, upgradeRequest } from "../../support/raw.js";

const turnMessagesMax = 16;
/** Frames of a flood. They fit in the 64 KiB that Node.js reads at once. */
const floodCount = 1_500;

/** Notes its messages. The first message of a flood lets its neighbour send one. */
class Noting extends WebSocketHandler {
  static readonly noted = new Mailbox<string>();
  static onBegin: () => void = () => undefined;
  static onEach: () => void = () => undefined;
  onMessage(text: string) {
    // The data of a frame of enfilade.v1 is JSON.
    const name = text.replaceAll('"', "");
    if (name === "begin") Noting.onBegin();
    Noting.onEach();
    Noting.noted.put(name);
  }
}

/** Sends a flood between `begin` and `end`. Returns the messages in the order in which the server handled them. */
async function flood(
  between: Buffer,
  last: Buffer,
  subprotocol?: string,
  limits: Partial<Limits> = {},
  clock?: ManualClock,
) {
  Noting.noted.all.length = 0;
  const { port, app } = await startWith("/noting", Noting, { clock, limits: { turnMessagesMax, ...limits } });
  const neighbour = await rawConnection(port, "/noting");
  Noting.onBegin = () => neighbour.socket.write(clientFrame(0x81, "neighbour"));
  const client = await rawClient(port);
  client.socket.write(upgradeRequest("/noting", { "Sec-WebSocket-Protocol": subprotocol }));
  await client.received(subprotocol === undefined ? "\r\n\r\n" : "welcome");
  const begin = subprotocol === undefined ? "begin" : '{"type":"message","data":"begin"}';
  const frames = [clientFrame(0x81, begin), ...Array.from({ length: floodCount }, () => between), last];
  client.socket.write(Buffer.concat(frames));
  const isWhole = () => Noting.noted.all.includes("neighbour") && Noting.noted.all.includes("end");
  while (!isWhole()) await Noting.noted.have(Noting.noted.all.length + 1);
  return { noted: Noting.noted.all, app, client };
}

const end = clientFrame(0x81, "end");
const v1 = "enfilade.v1";
const v1End = clientFrame(0x81, '{"type":"message","data":"end"}');

describe("a client that floods", () => {
  it("has at most turnMessagesMax messages handled in a turn; then others are read", async () => {
    const { noted } = await flood(clientFrame(0x81, "x"), end);
    expect(noted).toHaveLength(floodCount + 3);
    // What remains of the first turn, and the turn in which the neighbour's message arrives.
    expect(noted.indexOf("neighbour")).toBeLessThanOrEqual(3 * turnMessagesMax);
    expect(noted.at(-1)).toBe("end");
  });

  it.each([
    ["pings", clientFrame(0x89, "x"), end, undefined],
    ["pongs", clientFrame(0x8a, "x"), end, undefined],
    ["pings of enfilade.v1", clientFrame(0x81, '{"type":"ping"}'), v1End, v1],
    ["bad frames of enfilade.v1", clientFrame(0x81, '{"id":1}'), v1End, v1],
  ])("has no more %s than messages handled in a turn", async (_name, between, last, subprotocol) => {
    const { noted } = await flood(between, last, subprotocol);
    expect(noted).toEqual(["begin", "neighbour", "end"]);
  });

  it("has at most turnBytesMax bytes handled in a turn", async () => {
    const limits = { turnMessagesMax: Number.POSITIVE_INFINITY, turnBytesMax: 100 };
    const { noted } = await flood(clientFrame(0x81, "0123456789"), end, undefined, limits);
    expect(noted.indexOf("neighbour")).toBeLessThanOrEqual(30);
    expect(noted).toHaveLength(floodCount + 3);
  });
});

describe("frames that take long", () => {
  it("leave the turn after turnMs", async () => {
    const clock = new ManualClock();
    Noting.onEach = () => clock.advance(1);
    const limits = { turnMessagesMax: Number.POSITIVE_INFINITY, turnMs: 8, heartbeatMs: false } as const;
    onTestFinished(() => {
      Noting.onEach = () => undefined;
    });
    const { noted } = await flood(clientFrame(0x81, "x"), end, undefined, limits, clock);
    expect(noted.indexOf("neighbour")).toBeLessThanOrEqual(3 * 16);
    expect(noted).toHaveLength(floodCount + 3);
  });
});

describe("a client that sends some frames in each turn", () => {
  it("has those of a turn handled in it, however long it has sent so", async () => {
    const clock = new ManualClock();
    const limits = { turnMs: 4, heartbeatMs: false } as const;
    const { port } = await startWith("/noting", Noting, { clock, limits });
    const client = await rawConnection(port, "/noting");
    const frames = Array.from({ length: 16 }, (_, n) => clientFrame(0x81, n === 0 ? "begin" : String(n)));
    const { all } = Noting.noted;
    Noting.onBegin = () => setImmediate(() => Noting.noted.put("next turn"));
    for (let round = 0; round < 6; round += 1) {
      all.length = 0;
      client.socket.write(Buffer.concat(frames));
      await Noting.noted.have(17);
      expect(all.at(-1)).toBe("next turn");
      clock.advance(10);
    }
  });
});

describe("a frame that comes in many small pieces", () => {
  class Listener extends WebSocketHandler {
    static readonly reported = new Mailbox<unknown>();
    onMessage(text: string | undefined, error?: Error) {
      Listener.reported.put(text ?? error);
    }
  }

  /** Sends a frame byte by byte; the server reads each byte alone. */
  async function trickle(limits: Partial<Limits>, payload: string) {
    Listener.reported.all.length = 0;
    const { port, app } = await startWith("/listener", Listener, { limits });
    const client = await rawConnection(port, "/listener");
    for (const byte of clientFrame(0x81, payload)) {
      if (app.registry.connections.length === 0) break;
      client.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { client, reported: Listener.reported };
  }

  it("is closed with 1008 above bufferedChunksMax", async () => {
    const { client, reported } = await trickle({ bufferedChunksMax: 8, messageBytesMax: 1_000 }, "x".repeat(100));
    await client.received("\x03\xf0message in too many pieces");
    expect(await reported.have(1)).toMatchObject([{ closeCode: 1008, closeReason: "message in too many pieces" }]);
  });

  it("is received if messageBytesMax allows as many full segments", async () => {
    const { reported } = await trickle({ bufferedChunksMax: 8, messageBytesMax: 200 * 512 }, "x".repeat(100));
    expect(await reported.have(1)).toEqual(["x".repeat(100)]);
  });
});
