/** A server in a process of its own: `node --import tsx blockedNode.ts <limits as JSON>`, with an IPC channel. */
import { App, type Limits, WebSocketHandler } from "../../../src/index.js";

/** Answers a number after it has blocked the process for as many milliseconds, and a text at once. */
class Blocked extends WebSocketHandler {
  onMessage(text: string) {
    const end = performance.now() + (Number(text) || 0);
    while (performance.now() < end);
    this.sendText(text);
  }
}

// The parent wrote the text that JSON.parse reads here.
const limits = JSON.parse(process.argv[2] ?? "{}") as Partial<Limits>;
const app = new App({ limits }).route("/blocked", Blocked);
process.on("disconnect", () => process.exit());
const { port } = await app.listen(0, "127.0.0.1");
process.send?.(port);
