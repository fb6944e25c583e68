import { once } from "node:events";
import { WebSocket } from "ws";
import { type Conversation, type ForeignClient, Inbox, Refusal } from "./client.js";

export const wsClient: ForeignClient = {
  name: "ws",
  showsStatus: true,
  connect(url, protocols = []) {
    const socket = new WebSocket(url, [...protocols]);
    const inbox = new Inbox();
    socket.on("message", (data: Buffer, isBinary) => inbox.put(isBinary ? new Uint8Array(data) : data.toString()));
    socket.on("close", (code, reason) => inbox.end({ code, reason: reason.toString() }));
    return new Promise<Conversation>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("unexpected-response", (request, { statusCode }) => {
        request.destroy();
        reject(new Refusal(statusCode));
      });
      socket.on("open", () => resolve(conversation(socket, inbox)));
    });
  },
};

function conversation(socket: WebSocket, inbox: Inbox): Conversation {
  return {
    protocol: socket.protocol,
    inbox,
    sendText: (text) => socket.send(text),
    sendBinary: (bytes) => socket.send(bytes),
    ping() {
      socket.ping();
      return once(socket, "pong");
    },
    close: () => socket.close(),
  };
}
