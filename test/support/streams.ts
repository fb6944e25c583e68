import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type ClientRoom, type ConnectOptions, connect as connectClient } from "../../src/client/index.js";
import { App, type AppOptions, EventHandler, type Limits, On } from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { Mailbox, type RunningApp, start } from "./app.js";

/** What generators have done, over all connections. */
export class Generators {
  /** The values that were asked for. */
  readonly asked = new Mailbox<number>();
  /** The reasons of the ends: `returned`, `aborted`, `done`. */
  readonly ended = new Mailbox<string>();
}

/** A handler whose events are answered with streams. */
export function streaming(generators: Generators) {
  class Streaming extends EventHandler {
    /** Numbers up to `count`, as fast as they are asked for. */
    @On()
    async *onCount(count: number, { signal }: { readonly signal: AbortSignal }) {
      signal.addEventListener("abort", () => generators.ended.put("aborted"));
      let isDone = false;
      try {
        for (let n = 0; n < count; n += 1) {
          generators.asked.put(n);
          yield n;
        }
        isDone = true;
        return `${count} numbers`;
      } finally {
        generators.ended.put(isDone ? "done" : "returned");
      }
    }

    @On()
    onEcho(data: unknown) {
      return data;
    }
  }
  return Streaming;
}

export interface StreamApp extends RunningApp {
  readonly generators: Generators;
}

/** An app with the route `/room/:name`, on a port. */
export async function startStreams(limits: Partial<Limits> = {}, options: AppOptions = {}): Promise<StreamApp> {
  const generators = new Generators();
  const app = new App({ limits, ...options }).route("/room/:name", streaming(generators), { http: true });
  return { ...(await start(app)), generators };
}

/** A room of `enfilade/client`, until the end of the test. */
export function openRoom(url: string, options: ConnectOptions = {}): ClientRoom {
  const room = connectClient(url, { WebSocket, random: () => 0, ...options });
  onTestFinished(() => room.close());
  return room;
}

export const secret = "s".repeat(22);
export const clientId = "client-0123456789";

/** Lets everything run that waits for no more input. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A frame of the server. */
export interface Frame {
  readonly type: string;
  readonly id?: number | string;
  readonly seq?: number;
  readonly data?: unknown;
  readonly error?: { readonly code: string };
}

/** A client that sends and reads frames, after its welcome. */
export class FrameClient {
  readonly client: TestClient;

  private constructor(client: TestClient) {
    this.client = client;
  }

  static async open(app: App, name = clientId, path = "/room/a"): Promise<FrameClient> {
    const protocols = ["enfilade.v1", `enfilade.secret.${secret}`];
    const frames = new FrameClient(await connect(app, `${path}?client=${name}`, { protocols }));
    await frames.next();
    return frames;
  }

  send(frame: object): void {
    this.client.sendJSON(frame);
  }

  /** Asks for a stream of numbers. */
  count(id: number | string, count: number, fields: object = {}): void {
    this.send({ type: "event", event: "count", data: count, id, from: 0, ...fields });
  }

  async next(): Promise<Frame> {
    // The server sends frames only.
    return (await this.client.readJSON()) as Frame;
  }

  async take(count: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count) frames.push(await this.next());
    return frames;
  }

  /** All frames that the server sends until it waits for more input. */
  async untilQuiet(): Promise<Frame[]> {
    await settled();
    this.send({ type: "ping" });
    const frames: Frame[] = [];
    for (let frame = await this.next(); frame.type !== "pong"; frame = await this.next()) frames.push(frame);
    return frames;
  }

  /** Disconnects without a close, and waits until the app has noticed. */
  async cut(app: App): Promise<void> {
    const gone = new Promise((resolve) => app.on("close", resolve, { once: true }));
    this.client.terminate();
    await gone;
  }
}
