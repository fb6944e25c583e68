import { App, WebSocketHandler } from "enfilade";
import {
  ClusterBackplane,
  type Engine,
  type EngineEvents,
  type EngineHistoryPage,
  type EngineTop,
  joinNodeMessages,
} from "enfilade/backplane";
import { connect } from "enfilade/testing";

type Subscriber = (channel: string, bytes: Uint8Array, position?: { epoch: string; offset: number }) => void;

/** The data that the engines of one process share. */
const subscribers = new Map<string, Set<Subscriber>>();
const offsets = new Map<string, number>();
const epoch = "one";

/** Carries messages between the apps of one process, and keeps none. */
class ProcessEngine implements Engine {
  readonly name = "process";
  readonly appendMax = 10;
  #events: EngineEvents | undefined;
  readonly #receive: Subscriber = (channel, bytes, position) => this.#events?.onMessage(channel, bytes, position);

  start(events: EngineEvents): void {
    this.#events = events;
    setImmediate(() => events.onUp());
  }

  restart(reason: Error): void {
    this.#events?.onDown(reason);
    this.#events?.onUp();
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) {
      subscribers.set(channel, (subscribers.get(channel) ?? new Set()).add(this.#receive));
    }
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) subscribers.get(channel)?.delete(this.#receive);
  }

  async publish(channel: string, bytes: Uint8Array): Promise<void> {
    for (const receive of subscribers.get(channel) ?? []) receive(channel, bytes);
  }

  async append({ path }: { path: string }, publications: readonly Uint8Array[]) {
    const offset = (offsets.get(path) ?? 0) + 1;
    offsets.set(path, offset + publications.length - 1);
    for (const receive of subscribers.get(path) ?? []) receive(path, joinNodeMessages(publications), { epoch, offset });
    return { epoch, offset };
  }

  async read(room: { path: string }): Promise<EngineHistoryPage> {
    return { ...(await this.top(room)), entries: [] };
  }

  async top({ path }: { path: string }): Promise<EngineTop> {
    const offset = offsets.get(path) ?? 0;
    if (offset === 0) return { top: { epoch: "", offset }, epochs: [] };
    return { top: { epoch, offset }, epochs: [{ epoch, base: 0, lost: undefined }] };
  }

  async confirmLost(): Promise<void> {
    // It has one epoch only.
  }

  async renumber(): Promise<void> {
    // It never gives out a number again.
  }

  refuses(): boolean {
    return false;
  }

  async stop(): Promise<void> {
    for (const all of subscribers.values()) all.delete(this.#receive);
    this.#events = undefined;
  }
}

class Chat extends WebSocketHandler {
  static route = { pattern: "/chat/:channel", history: { size: 10 } };

  override onMessage(text: string): void {
    this.sendTextToThisRoom(text);
  }
}

const apps = [1, 2].map(() => new App({ handlers: [Chat], backplane: new ClusterBackplane(new ProcessEngine()) }));
const [first, second] = await Promise.all(apps.map((app) => connect(app, "/chat/general")));
first?.sendText("from one node to the other");
console.log(await second?.readText());
for (const app of apps) await app.close();
