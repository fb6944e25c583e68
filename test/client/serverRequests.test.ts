import { expect, it, onTestFinished } from "vitest";
import { type ClientRoom, connect } from "../../src/client/index.js";
import { App, WebSocketHandler } from "../../src/index.js";
import { socketsOf } from "../../src/testing/index.js";

class Quiet extends WebSocketHandler {
  onMessage() {
    // It only sends requests.
  }
}

async function connected() {
  const app = new App().route("/room", Quiet);
  const room: ClientRoom = connect("ws://app/room", { WebSocket: socketsOf(app) });
  onTestFinished(async () => {
    room.close();
    await app.close();
  });
  await room.opened;
  const [connection] = app.registry.connections;
  if (connection === undefined) throw new Error("no connection");
  return { room, connection };
}

it("answers a request of the server with a value, a promise or an error", async () => {
  const { room, connection } = await connected();
  room.onRequest("double", (n) => Number(n) * 2);
  room.onRequest("later", async () => ({ ready: true }));
  expect(await connection.sendRequest("double", 21)).toBe(42);
  expect(await connection.sendRequest("later")).toEqual({ ready: true });
  await expect(connection.sendRequest("nothing like it")).rejects.toMatchObject({
    code: "ERR_REQUEST",
    eventCode: "unknown_event",
  });
});
