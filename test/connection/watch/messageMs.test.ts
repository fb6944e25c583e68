import { describe, expect, it } from "vitest";
import { ConnectionError, defaultLimits, WebSocketHandler } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { Mailbox, startWith } from "../../support/app.js";
import { clientFrame, rawConnection, readByServer } from "../../support/raw.js";

const { messageMs } = defaultLimits;
/** The begin and the end of the time are each noted at most an eighth late. */
const latestMs = messageMs * 1.25;
const ping = clientFrame(0x89, "");
const longFrame = clientFrame(0x81, "x".repeat(1_000));

class Listener extends WebSocketHandler {
  static readonly reported = new Mailbox<unknown>();
  onMessage(text: string | undefined, error?: Error) {
    Listener.reported.put(text ?? error);
  }
}

async function startListener(limits: object = {}, handlerClass = Listener) {
  Listener.reported.all.length = 0;
  const clock = new ManualClock();
  const { port, app } = await startWith("/listener", handlerClass, {
    clock,
    limits: { heartbeatMs: false, ...limits },
  });
  const client = await rawConnection(port, "/listener");
  const send = async (bytes: Uint8Array) => {
    client.socket.write(bytes);
    await readByServer(port, "/listener");
  };
  return { app, clock, client, send, reported: Listener.reported };
}

describe("a message that does not end", () => {
  it.each([
    ["the first byte of a frame", longFrame.subarray(0, 1)],
    ["a header without its mask", longFrame.subarray(0, 5)],
    ["a part of the payload", longFrame.subarray(0, 500)],
    ["a whole message, and a part of the next", Buffer.concat([longFrame, longFrame.subarray(0, 500)])],
    ["a fragment", clientFrame(0x01, "begin")],
    ["a fragment, and a part of a ping", Buffer.concat([clientFrame(0x01, "begin"), ping.subarray(0, 3)])],
  ])("is closed with 1008 after messageMs: %s", async (_name, bytes) => {
    const { app, clock, client, send, reported } = await startListener();
    await send(bytes);
    clock.advance(messageMs);
    expect(app.registry.connections[0]?.isOpen).toBe(true);
    clock.advance(latestMs - messageMs);
    await client.received("\x88\x17\x03\xf0message took too long");
    while (!(reported.all.at(-1) instanceof ConnectionError)) await reported.have(reported.all.length + 1);
    expect(reported.all.at(-1)).toMatchObject({ closeCode: 1008, isClean: false, by: "server" });
  });

  it("is not extended by control frames between its fragments", async () => {
    const { clock, client, send } = await startListener();
    await send(clientFrame(0x01, "begin"));
    for (let n = 0; n < 10; n += 1) {
      await send(ping);
      clock.advance(latestMs / 10);
    }
    await client.received("message took too long");
  });

  it("may take its time if each message ends in time, and control frames come in parts, too", async () => {
    const { app, clock, send, reported } = await startListener();
    for (let n = 1; n <= 5; n += 1) {
      await send(longFrame.subarray(0, 500));
      clock.advance(0.9 * messageMs);
      await send(Buffer.concat([longFrame.subarray(500), ping.subarray(0, 1)]));
      clock.advance(0.9 * messageMs);
      await send(ping.subarray(1));
    }
    expect(reported.all).toEqual(Array.from({ length: 5 }, () => "x".repeat(1_000)));
    expect(app.registry.connections[0]?.isOpen).toBe(true);
  });

  it("does not count while a busy handler pauses the socket", async () => {
    let finish: () => void = () => undefined;
    class Busy extends Listener {
      override async onMessage(text: string) {
        Listener.reported.put(text);
        if (text === "busy")
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
      }
    }
    const { app, clock, client, send, reported } = await startListener({ inboxMessagesMax: 1 }, Busy);
    const frames = [clientFrame(0x81, "busy"), clientFrame(0x81, "next"), longFrame.subarray(0, 500)];
    client.socket.write(Buffer.concat(frames));
    await reported.have(1);
    clock.advance(10 * messageMs);
    expect(app.registry.connections[0]?.isOpen).toBe(true);
    finish();
    await reported.have(2);
    clock.advance(messageMs / 2);
    await send(longFrame.subarray(500));
    expect(await reported.have(3)).toEqual(["busy", "next", "x".repeat(1_000)]);
  });
});
