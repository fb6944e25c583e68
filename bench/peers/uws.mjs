// uWebSockets.js, where UWS names a folder that has it: its own topics, and its own publish.
import { createRequire } from "node:module";
import { listening, order, read } from "./contract.mjs";

const uWS = createRequire(import.meta.url)(order.uws);
const compress = order.deflate !== false;
const app = uWS.App();

app.ws("/*", {
  compression: compress ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
  maxPayloadLength: 64 * 1024,
  maxBackpressure: 1024 * 1024,
  closeOnBackpressureLimit: true,
  upgrade(response, request, context) {
    const header = (name) => request.getHeader(`sec-websocket-${name}`);
    const data = { room: request.getUrl() };
    response.upgrade(data, header("key"), header("protocol"), header("extensions"), context);
  },
  open(client) {
    const { room } = client.getUserData();
    client.subscribe(room);
    client.getUserData().sender = {
      reply: (text) => client.send(text, false, compress),
      toRoom: (text) => app.publish(room, text, false, compress),
    };
  },
  message: (client, data) => read(Buffer.from(data).toString(), client.getUserData().sender),
});

app.listen("127.0.0.1", 0, (socket) => listening(uWS.us_socket_local_port(socket)));
