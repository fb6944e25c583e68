// Socket.IO over WebSocket alone. Its messages are events with a value, which it encodes: it is JSON in every work.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { burst, listening, order, perMessageDeflate } from "./contract.mjs";

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate, serveClient: false });

const readers = {
  room: (message, _socket, room) => io.to(room).emit("m", message),
  burst: (message, _socket, room) => {
    for (const one of burst(message)) io.to(room).emit("m", one);
  },
  echo: (message, socket) => socket.emit("m", message),
  echoJSON: (message, socket) => socket.emit("m", message),
  mixed: (message, socket, room) => {
    socket.emit("m", { ...message, k: "a" });
    io.to(room).emit("m", message);
    socket.emit("m", { ...message, k: "z" });
  },
};
const read = readers[order.serve];

io.on("connection", (socket) => {
  const room = socket.handshake.query.room;
  socket.join(room);
  socket.on("m", (message) => read(message, socket, room));
});

server.listen(0, "127.0.0.1", () => listening(server.address().port));
