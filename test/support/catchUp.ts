import { expect } from "vitest";
import { type HistoryPage, type HistoryQuery, MemoryBackplane } from "../../src/backplane/index.js";
import { App, type AppOptions, type RoomPath, type RouteOptions, WebSocketHandler } from "../../src/index.js";

class Quiet extends WebSocketHandler {
  onMessage() {
    this.close();
  }
}

export const noHeartbeat = { heartbeatMs: false } as const;

export function appWith(route: RouteOptions, options: AppOptions = {}): App {
  return new App(options).route("/rooms/:name", Quiet, route);
}

export const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
export const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

/** The epoch of a room; its numbering begins with a publication. */
export async function begin(app: App): Promise<string> {
  const first = await app.registry.room("/rooms/a").publish("first");
  return first?.epoch ?? expect.fail("the room keeps no history");
}

/** Counts the publications of each page, and how many bytes wait for the connections of an app at each read. */
export class CountingBackplane extends MemoryBackplane {
  readonly pages: number[] = [];
  app: App | undefined;
  bufferedBytesMax = 0;

  override async readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
    const page = await super.readHistory(path, query);
    this.pages.push(page.deliveries.length);
    for (const { bufferedBytes } of this.app?.registry.connections ?? []) {
      this.bufferedBytesMax = Math.max(this.bufferedBytesMax, bufferedBytes);
    }
    return page;
  }
}
