import { App, EventHandler, On, WebSocketHandler } from "../../src/index.js";

/** Reads one message, and is then busy for ever. */
class Busy extends WebSocketHandler {
  onMessage() {
    return new Promise<void>(() => undefined);
  }
}

/** Answers each event with its data. */
class Echo extends EventHandler {
  @On("echo")
  onEcho(data: unknown) {
    return data;
  }
}

/** Sends each client messages of its own, until the connection ends. */
class Sender extends WebSocketHandler {
  override async serve() {
    while (!this.signal.aborted) {
      this.sendBinary(new Uint8Array(60_000));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** A healthy neighbour. */
class Neighbour extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** Sends each message to its room, which keeps it. */
class Talk extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

/** What the parent process asks for. For `heap`, garbage is collected first. */
export type MemoryQuestion = { readonly rooms: number } | "status" | "heap";

/** The answer, with the peak of the resident memory so far, in bytes. */
export interface MemoryAnswer {
  readonly status: ReturnType<App["status"]>;
  readonly residentBytesMax: number;
  /** The heap and the buffers outside of it. */
  readonly heapBytes: number;
  readonly warnings: readonly string[];
}

const warnings: string[] = [];
const logger = { warn: (text: string) => warnings.push(text), error: () => undefined };
const app = new App({ logger, limits: JSON.parse(process.argv[2] ?? "{}") })
  .route("/busy", Busy)
  .route("/echo", Echo)
  .route("/send", Sender)
  .route("/neighbour", Neighbour)
  .route("/rooms/:name", Talk, { history: { size: 100 } });

/** The least after several collections: closed sockets are freed in steps. */
async function collect(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 4; n += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

process.on("message", async (question: MemoryQuestion) => {
  const heapBytes = question === "heap" ? await collect() : process.memoryUsage().heapUsed;
  if (typeof question !== "string") {
    for (let n = 0; n < question.rooms; n += 1) app.registry.sendTextToRoom(`/rooms/flood-${n}`, "x".repeat(500));
  }
  const residentBytesMax = process.resourceUsage().maxRSS * 1024;
  const answer: MemoryAnswer = { status: app.status(), residentBytesMax, heapBytes, warnings };
  process.send?.(answer);
});
process.on("disconnect", () => process.exit());
const { port } = await app.listen(0, "127.0.0.1");
process.send?.(port);
