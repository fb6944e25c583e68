import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import type { AppOptions } from "../../../../src/index.js";
import { clientFrame } from "../../../support/raw.js";
import { all, close, fault, ping, text, texts } from "./sentFrames.js";
import { Twins } from "./twins.js";

describe("both receivers agree on a flood past turnMessagesMax", () => {
  const cut = text("cut");

  it.each<[string, readonly Buffer[], AppOptions["limits"]?]>([
    ["of messages, with a close behind", [all(...texts(20), close(1000))]],
    ["of messages, with pings in between", [all(...texts(7), ping("a"), ...texts(7), ping("b"), close(1000))]],
    ["of pings", [all(...Array.from({ length: 20 }, (_, n) => ping(`${n}`)), close(1000))]],
    ["with a fault behind", [all(...texts(20), fault)]],
    ["with a fault at the end of a turn", [all(...texts(3), fault, text("b"))]],
    ["with a close at the end of a turn", [all(...texts(3), close(1000), text("b"))]],
    [
      "in two slices that cut a frame",
      [all(...texts(10), cut.subarray(0, 7)), all(cut.subarray(7), ...texts(10), close(1000))],
    ],
    [
      "with a part of a frame at the end of a turn",
      [all(...texts(3), cut.subarray(0, 1)), all(cut.subarray(1), close(1000))],
    ],
    [
      "with pings between fragments",
      [all(clientFrame(0x01, "a"), ...["p", "q", "r"].map(ping), clientFrame(0x80, "b"), ...texts(9), close(1000))],
    ],
    ["with a message that makes the server close", [all(...texts(2), text("close"), ...texts(10), close(1000))]],
    ["with a slow handler", [all(...texts(4), text("wait"), ...texts(10), close(1000))], { inboxMessagesMax: 2 }],
  ])("%s", async (_name, parts, limits) => {
    const twins = await Twins.start({ turnMessagesMax: 3, ...limits });
    await twins.playTurns(async ({ send, release }) => {
      for (const part of parts) await send(Buffer.from(part));
      release();
    });
  });

  it.each<[string, (socket: Socket) => unknown]>([
    ["an end", (socket) => socket.end()],
    ["a reset", (socket) => socket.resetAndDestroy()],
  ])("with %s behind: the handler gets every message", async (_name, end) => {
    const twins = await Twins.start({ turnMessagesMax: 3, inboxMessagesMax: 1_000 });
    const { handler } = await twins.playTurns(async ({ send, socket }) => {
      await send(all(...texts(200)));
      await send(all(...texts(20)));
      end(socket);
    });
    expect(handler).toHaveLength(222);
  });

  it("with a slow handler: the socket stays paused", async () => {
    const twins = await Twins.start({ turnMessagesMax: 3, inboxMessagesMax: 2 });
    await twins.playTurns(async ({ send, accepted, release }) => {
      await send(all(text("wait"), ...texts(20)));
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(accepted.isPaused()).toBe(true);
      release();
      await send(close(1000));
    });
  });
});
