import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, type TapEntry, WebSocketHandler } from "../../../src/index.js";
import { Mailbox, start } from "../../support/app.js";
import { RoomsClient } from "../../support/roomsClient.js";
import { SlowClient } from "../../support/slowClient.js";
import { Chat, silent, startChat } from "./chat.js";

class Open extends WebSocketHandler {
  onMessage() {
    // Not needed here.
  }
}

const rooms = ["/chat/a", "/chat/b", "/chat/c"];

async function openRooms(port: number, fields: object = {}, of: readonly string[] = rooms): Promise<RoomsClient> {
  const client = await RoomsClient.open(port);
  for (const room of of) await client.open(room, fields);
  return client;
}

/** The messages of a client, each with the connection that got it and the room that it is about. */
function received(client: RoomsClient): string[] {
  const messages = client.frames.all.filter(({ type }) => type === "message" || type === "event");
  return messages.map(({ room, address = "", data }) => `${room} ${address} ${data}`);
}

describe("a message to many", () => {
  it("reaches each connection of a socket once, with the room that it is about", async () => {
    const app = new App({ logger: silent }).route("/chat/:channel", Chat, { name: "chat" });
    const { port } = await start(app);
    const client = await openRooms(port, { token: "ann" });
    const { registry } = app;
    client.event("/chat/a", "join", "/other", 1);
    client.event("/chat/b", "join", "/other", 2);
    await client.first("reply", "/chat/a");
    await client.first("reply", "/chat/b");
    registry.sendJSONToRoom("/chat/a", "home");
    registry.sendJSONToRoom("/other", "joined");
    registry.sendJSONToRoom("/chat/**", "tree");
    registry.sendJSONToUser("ann", "user");
    registry.channel("chat").sendJSON("channel");
    registry.sendJSONToAll("all");
    registry.sendJSONToRoom("/chat/c", "last");
    await client.until(() => received(client).includes("/chat/c  last"));
    await client.settled();
    const toEach = ["tree", "user", "channel", "all"];
    expect(received(client).sort()).toEqual(
      [
        "/chat/a  home",
        "/chat/c  last",
        "/chat/a /other joined",
        "/chat/b /other joined",
        ...rooms.flatMap((room) => toEach.map((data) => `${room} ${data === "tree" ? "/chat/**" : ""} ${data}`)),
      ].sort(),
    );
  });

  it("leaves out the connection of `except` only, even if others of its socket are in the room", async () => {
    const { port } = await startChat({}, { history: { size: 10 } });
    const client = await openRooms(port);
    const other = await openRooms(port);
    // The connection in /chat/b also joins /chat/a.
    client.event("/chat/b", "join", "/chat/a", 1);
    await client.first("reply", "/chat/b");
    client.event("/chat/a", "others", "hello");
    await other.until(() => received(other).length === 1);
    await client.until(() => received(client).length === 2);
    // The offset without content keeps the client from seeing a jump.
    expect(client.of("/chat/a", "message")).toEqual([{ type: "message", room: "/chat/a", offset: 1 }]);
    expect(client.of("/chat/b", "message")).toEqual([
      { type: "message", room: "/chat/b", address: "/chat/a", roomOffset: 1, data: "hello" },
    ]);
    expect(received(other)).toEqual(["/chat/a  hello"]);
  });

  it("is equal, apart from the room, for clients that share a socket and those that do not", async () => {
    const { port, app, open } = await startChat({}, { history: { size: 10 } });
    const client = await openRooms(port);
    const own = await open("/chat/a", { protocols: ["enfilade.v1"] });
    await own.readJSON();
    app.registry.room("/chat/a").sendJSON({ x: 1 });
    app.registry.room("/chat/a").sendText("text");
    app.registry.room("/chat/a").sendBinary(Uint8Array.of(1, 2));
    app.registry.sendJSONToAll("all");
    const frames = [await own.readJSON(), await own.readJSON(), await own.readJSON(), await own.readJSON()];
    await client.until(() => client.of("/chat/a", "message").length === 4);
    expect(client.of("/chat/a", "message")).toEqual(frames.map((frame) => ({ ...(frame as object), room: "/chat/a" })));
  });

  it("is encoded once for all members of its room, with 10,000 rooms open on 100 sockets", async () => {
    const encoded = new Mailbox<string>();
    const framing = {
      encode: (data: string | Uint8Array) => {
        encoded.put(String(data));
        return Buffer.from(`${data}\n`);
      },
    };
    class Fast extends SlowClient {
      override readonly framing = framing;
    }
    const app = new App({ logger: silent, limits: { outboxBytesMax: 10_000_000 } }).route("/chat/:channel", Open);
    const clients = Array.from({ length: 100 }, () => new Fast(app, "/", "enfilade.v1.rooms"));
    for (const [c, client] of clients.entries()) {
      client.readAll();
      // Ten sockets are in each room.
      for (let n = 0; n < 100; n += 1) client.send({ type: "open", room: `/chat/${(c % 10) * 100 + n}` });
    }
    await Promise.all(clients.map(({ frames }) => frames.have(101)));
    expect(app.status()).toMatchObject({ connections: 10_000, rooms: 1_000 });
    const before = encoded.all.length;
    for (let n = 0; n < 1_000; n += 1) app.registry.sendJSONToRoom(`/chat/${n}`, "to all");
    await Promise.all(clients.map(({ frames }) => frames.have(201)));
    const messages = encoded.all.slice(before);
    expect([messages.length, new Set(messages).size]).toEqual([1_000, 1_000]);
    await app.close();
  });
});

describe("what the app reports", () => {
  it("has an entry for each room of a socket: taps, and the channels of node:diagnostics_channel", async () => {
    const { port, app } = await startChat();
    const entries = new Mailbox<TapEntry>();
    onTestFinished(
      app.tap({ room: "/chat/b" }, (batch) => {
        for (const entry of batch.entries) entries.put(entry);
      }),
    );
    const seen = new Mailbox<string>();
    for (const name of ["enfilade:connection:open", "enfilade:connection:close"]) {
      const listener = (message: unknown) => {
        // The channels have the app and the connection, see docs/diagnostics.md.
        const { connection, app: of } = message as { connection: { request: { path: string } }; app: unknown };
        if (of === app) seen.put(`${name.split(":")[2]} ${connection.request.path}`);
      };
      subscribe(name, listener);
      onTestFinished(() => {
        unsubscribe(name, listener);
      });
    }
    const client = await openRooms(port);
    for (const room of rooms) client.event(room, "say", `in ${room}`);
    await client.first("message", "/chat/c");
    client.send({ type: "close", room: "/chat/b", code: 3_000, reason: "x" });
    await seen.have(4);
    client.close();
    await seen.have(6);
    expect(seen.all.slice(0, 4)).toEqual([...rooms.map((room) => `open ${room}`), "close /chat/b"]);
    expect(seen.all.slice(4).sort()).toEqual(["close /chat/a", "close /chat/c"]);
    await entries.have(5);
    expect(entries.all.map((entry) => ("type" in entry ? entry.type : entry.direction))).toEqual([
      "open",
      "in",
      "out",
      "publish",
      "close",
    ]);
  });
});
