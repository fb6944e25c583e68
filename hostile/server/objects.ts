import { queryObjects } from "node:v8";
import { Session } from "../../src/handler/session/session.js";
import { RoomState } from "../../src/room/roomState.js";
import type { Objects } from "./settings.js";

const collections = 10;
const betweenCollectionsMs = 50;

/** The class of timers. Node.js does not export it. */
const timer = setTimeout(() => undefined, 0);
clearTimeout(timer);
const Timer = timer.constructor;

const countOf = (type: { readonly prototype: object }) => queryObjects(type.prototype.constructor, { format: "count" });

/** Counts what the heap of this process holds after garbage collections. */
export async function countObjects(): Promise<Objects> {
  return {
    // First, since counting objects makes some.
    bytes: await heapBytes(),
    timers: countOf(Timer),
    functions: countOf(Function),
    rooms: countOf(RoomState),
    sessions: countOf(Session),
    processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

/** The least after several collections: closed sockets are freed in steps, some of them after a moment. */
async function heapBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < collections; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, betweenCollectionsMs));
    globalThis.gc?.();
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}
