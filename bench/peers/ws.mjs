// Naive ws, the reference: a loop over the members of the room, and a send for each.
import { WebSocketServer } from "ws";
import { listening, perMessageDeflate, Rooms, read } from "./contract.mjs";

/** @type {Rooms<import("ws").WebSocket>} */
const rooms = new Rooms();
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate });

server.on("connection", (client, request) => {
  const path = request.url ?? "/";
  const room = rooms.enter(path, client);
  const sender = {
    reply: (text) => client.send(text),
    toRoom: (text) => {
      for (const member of room) member.send(text);
    },
  };
  client.on("message", (data) => read(data.toString(), sender));
  client.on("close", () => rooms.leave(path, client));
  client.on("error", () => client.terminate());
});

server.on("listening", () => listening(server.address().port));
