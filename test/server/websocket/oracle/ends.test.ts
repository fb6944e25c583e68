import { describe, expect, it } from "vitest";
import type { AppOptions } from "../../../../src/index.js";
import { clientFrame } from "../../../support/raw.js";
import { all, close, fault, ping, text, texts } from "./sentFrames.js";
import { type Script, Twins } from "./twins.js";

const until = async (isReached: () => boolean) => {
  while (!isReached()) await new Promise((resolve) => setImmediate(resolve));
};

describe("both receivers agree on", () => {
  const partial = text("never whole").subarray(0, 9);

  it.each<[string, Script, AppOptions["limits"]?, Buffer?]>([
    [
      "an end within a frame",
      async ({ send, seen, socket }) => {
        await send(all(text("a"), partial));
        await seen.have(1);
        socket.end();
      },
    ],
    ["an end without a frame", async ({ socket }) => socket.end()],
    [
      "a reset within a frame",
      async ({ send, seen, socket }) => {
        await send(all(text("a"), partial));
        await seen.have(1);
        socket.resetAndDestroy();
      },
    ],
    ["a close, and data in the same slice", ({ send }) => send(all(text("a"), close(3000, "why"), text("b"), fault))],
    [
      "a close, and data in the next slices",
      async ({ send }) => {
        await send(close(3000, "why"));
        for (const frame of [text("b"), ping("p"), fault, close(1000)]) await send(frame);
      },
    ],
    ["a close within a message", ({ send }) => send(all(clientFrame(0x01, "a"), close(1000)))],
    ["a fault, and data in the same slice", ({ send }) => send(all(text("a"), fault, text("b"), close(1000)))],
    [
      "a fault, and data in the next slices",
      async ({ send }) => {
        await send(fault);
        for (const frame of [text("b"), close(1000)]) await send(frame);
      },
    ],
    [
      "a close by the server while the client still sends",
      async ({ send, seen }) => {
        await send(all(text("a"), text("close"), text("b"), ping("p")));
        await seen.have(2);
        for (const frame of [text("c"), ping("p"), close(4000)]) await send(frame);
      },
    ],
    [
      "a fault after a close by the server",
      async ({ send, seen }) => {
        await send(text("close"));
        await seen.have(1);
        await send(all(text("b"), fault));
      },
    ],
    [
      "another code as the answer to a close by the server",
      async ({ send, seen }) => {
        await send(text("close"));
        await seen.have(1);
        await send(close(3001, "no"));
      },
    ],
    [
      "a client that does not answer a close",
      async ({ send, seen }) => {
        await send(text("close"));
        await seen.have(1);
        await send(text("b"));
      },
      { closeMs: 50 },
    ],
    [
      "a client that ends its side without an answer to a close",
      async ({ send, seen, socket }) => {
        await send(text("close"));
        await seen.have(1);
        socket.end();
      },
    ],
    [
      "a client that sends a close, and does not end its side",
      async ({ send, seen, socket, acceptedClosed }) => {
        socket.removeAllListeners("end");
        await send(close(1000));
        await seen.have(1);
        await acceptedClosed;
        socket.destroy();
      },
      { closeMs: 50 },
    ],
    [
      "a close by the server of a socket that is paused for its rate",
      async ({ send, seen, handled, accepted, close: closeByServer }) => {
        await send(all(...texts(9)));
        await handled.have(1);
        await until(() => accepted.isPaused());
        closeByServer(4001, "enough");
        while (!seen.all.some((one) => one.startsWith("close:"))) await seen.have(seen.all.length + 1);
        await send(all(text("late"), close(4001)));
      },
      { messagesPerSecondMax: 1 },
    ],
    [
      "a close behind a slow handler, in the same slice",
      async ({ send, seen, release }) => {
        await send(all(text("wait"), ...texts(6), close(1000)));
        await seen.have(1);
        release();
      },
      { inboxMessagesMax: 2 },
    ],
    [
      "a close behind a slow handler that has paused the socket",
      async ({ send, release }) => {
        await send(all(text("wait"), ...texts(6)));
        await send(all(text("late"), close(1000)));
        release();
      },
      { inboxMessagesMax: 2 },
    ],
    [
      "a fault behind a slow handler that has paused the socket",
      async ({ send, release }) => {
        await send(all(text("wait"), ...texts(6)));
        await send(all(text("late"), fault));
        release();
      },
      { inboxMessagesMax: 2 },
    ],
    [
      "an end behind a slow handler that has paused the socket",
      async ({ send, release, socket }) => {
        await send(all(text("wait"), ...texts(6)));
        await send(text("late"));
        socket.end();
        release();
      },
      { inboxMessagesMax: 2 },
    ],
    [
      "a reset behind a slow handler that has paused the socket",
      async ({ send, release, socket, acceptedClosed }) => {
        await send(all(text("wait"), ...texts(6)));
        await send(text("late"));
        socket.resetAndDestroy();
        await acceptedClosed;
        release();
      },
      { inboxMessagesMax: 2 },
    ],
    ["a message before the answer to the handshake", ({ send }) => send(close(1000)), {}, text("early")],
    ["a close before the answer to the handshake", async () => undefined, {}, all(text("early"), close(1000, "bye"))],
    ["a fault before the answer to the handshake", async () => undefined, {}, all(text("early"), fault, text("b"))],
    [
      "a part of a frame before the answer to the handshake",
      async ({ send, seen }) => {
        await send(text("never whole").subarray(9));
        await seen.have(1);
        await send(close(1000));
      },
      {},
      partial,
    ],
  ])("%s", async (_name, script, limits, head) => {
    const twins = await Twins.start(limits);
    const { handler } = await twins.play(script, head);
    expect(handler.at(-1)).toMatch(/^onClose/);
  });
});
