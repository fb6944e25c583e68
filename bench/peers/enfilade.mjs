// Enfilade with default options, all of the way: a handler class, a route, and its own sends.
import { App, EventHandler, WebSocketHandler } from "../../dist/index.js";
import { burst, listening, marked, order } from "./contract.mjs";

class Room extends WebSocketHandler {
  onJSON(message) {
    this.sendJSONToThisRoom(message);
  }
}

class Burst extends WebSocketHandler {
  onJSON(trigger) {
    for (const message of burst(trigger)) this.sendJSONToThisRoom(message);
  }
}

class Echo extends WebSocketHandler {
  onMessage(text) {
    this.sendText(text);
  }
}

class EchoJSON extends WebSocketHandler {
  onJSON(message) {
    this.sendJSON(message);
  }
}

class Mixed extends WebSocketHandler {
  onMessage(text) {
    this.sendText(marked(text, "a"));
    this.sendTextToThisRoom(text);
    this.sendText(marked(text, "z"));
  }
}

class Events extends EventHandler {
  static events = { m: "onM" };

  onM(data) {
    this.emit("m", data);
  }
}

const handlers = {
  room: Room,
  burst: Burst,
  echo: Echo,
  echoJSON: EchoJSON,
  mixed: Mixed,
  events: Events,
  history: Room,
};
// The options that are not the default, each where a work is about it.
const options = order.serve === "history" ? { history: { size: 100 } } : {};
const app = new App(order.deflate ? { compression: true } : {});
app.route("/r/:room", handlers[order.serve], options);
if (order.observer === "metrics") await addMetrics();
if (order.observer === "tap") app.tap({ room: "/r/other" }, () => undefined);
const { port } = await app.listen(0, "127.0.0.1");
listening(port);

/** Adds the metrics, and reads them once a second, which is more often than Prometheus does. */
async function addMetrics() {
  const { default: client } = await import("prom-client");
  const { metrics } = await import("../../dist/metrics/index.js");
  metrics(app, { client });
  setInterval(() => void client.register.metrics(), 1000);
}
