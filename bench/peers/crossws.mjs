// crossws on Node: its publish reaches the others of the same path, so the sender is sent to as well.
import { createServer } from "node:http";
import crossws from "crossws/adapters/node";
import { listening, perMessageDeflate, read } from "./contract.mjs";

const room = "room"; // topics are by path already: a peer's namespace is its path
const senders = new WeakMap();
const sockets = crossws({
  serverOptions: { perMessageDeflate },
  hooks: {
    open(peer) {
      peer.subscribe(room);
      senders.set(peer, {
        reply: (text) => peer.send(text),
        toRoom: (text) => {
          peer.send(text);
          peer.publish(room, text);
        },
      });
    },
    message: (peer, message) => read(message.text(), senders.get(peer)),
  },
});

const server = createServer();
server.on("upgrade", (request, socket, head) => sockets.handleUpgrade(request, socket, head));
server.listen(0, "127.0.0.1", () => listening(server.address().port));
