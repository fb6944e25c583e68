import { WebSocket } from "undici";
import { type Conversation, type ForeignClient, Inbox, Refusal } from "./client.js";

/** The standard WebSocket of the web, which Node has since version 22. */
const builtIn = Reflect.get(globalThis, "WebSocket") as typeof WebSocket | undefined;

export const standardClients: ForeignClient[] = [
  { name: "undici", showsStatus: false, connect: (url, protocols) => connect(WebSocket, url, protocols) },
  ...(builtIn === undefined ? [] : [ofNode(builtIn)]),
];

function ofNode(builtIn: typeof WebSocket): ForeignClient {
  return { name: "Node's own", showsStatus: false, connect: (url, protocols) => connect(builtIn, url, protocols) };
}

function connect(Socket: typeof WebSocket, url: string, protocols: readonly string[] = []): Promise<Conversation> {
  const socket = new Socket(url, [...protocols]);
  const inbox = new Inbox();
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => inbox.put(typeof data === "string" ? data : new Uint8Array(data)));
  socket.addEventListener("close", ({ code, reason }) => inbox.end({ code, reason }));
  return new Promise((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Refusal(undefined)));
    socket.addEventListener("open", () => resolve(conversation(socket, inbox)));
  });
}

function conversation(socket: WebSocket, inbox: Inbox): Conversation {
  return {
    protocol: socket.protocol,
    inbox,
    sendText: (text) => socket.send(text),
    sendBinary: (bytes) => socket.send(Uint8Array.from(bytes)),
    close: () => socket.close(),
  };
}
