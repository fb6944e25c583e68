import { describe, expect, it } from "vitest";
import { connect, EnfiladeError } from "../../src/client/index.js";
import { fakeSockets } from "./fakeSocket.js";
import { connectScripted, waitForState } from "./scripted.js";

describe("connect", () => {
  it("refuses an unknown option, names the nearest one, and opens no socket", () => {
    const { WebSocket, made } = fakeSockets();
    const options = { WebSocket, tokn: "secret" };
    expect(() => connect("ws://localhost/x", options)).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message:
          'connect() has no option "tokn"; did you mean "token"? It has: ' +
          "token, WebSocket, queueMessagesMax, queueBytesMax, onResync, debug, clock, random",
      }),
    );
    expect(made.all).toEqual([]);
  });

  it("refuses options that are not an object", () => {
    // JavaScript code can pass this.
    const options = "secret" as unknown as object;
    expect(() => connect("ws://localhost/x", options)).toThrow("connect() takes an object, got string");
  });
});

describe("a request", () => {
  it("is rejected for an unknown option, and is not sent", async () => {
    const { room, peers } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    const options: object = { timeout: 5 };
    const refusal = await room.request("join", undefined, options).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(EnfiladeError);
    expect(refusal).toMatchObject({
      code: "ERR_OPTION",
      message: 'request() has no option "timeout"; did you mean "timeoutMs"? It has: signal, timeoutMs',
    });
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
  });
});
