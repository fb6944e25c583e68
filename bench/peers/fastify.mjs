// Fastify with its WebSocket plugin, which brings no rooms: the same loop as with naive ws.
import websocket from "@fastify/websocket";
import { fastify } from "fastify";
import { listening, perMessageDeflate, Rooms, read } from "./contract.mjs";

/** @type {Rooms<import("ws").WebSocket>} */
const rooms = new Rooms();
const app = fastify();
await app.register(websocket, { options: { perMessageDeflate } });

app.get("/*", { websocket: true }, (client, request) => {
  const path = request.url;
  const room = rooms.enter(path, client);
  const sender = {
    reply: (text) => client.send(text),
    toRoom: (text) => {
      for (const member of room) member.send(text);
    },
  };
  client.on("message", (data) => read(data.toString(), sender));
  client.on("close", () => rooms.leave(path, client));
});

await app.listen({ port: 0, host: "127.0.0.1" });
listening(app.server.address().port);
