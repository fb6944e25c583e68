import type { Listeners } from "../listeners.js";
import type { InternalEvents } from "../roomEvents.js";
import type { ClientMessage } from "./message.js";
import { type MessageQueue, queuedMessagesMax } from "./messageQueue.js";

/**
 * Yields messages from the first read until the room is closed. Past a bound the oldest is dropped, and reported as
 * lost.
 */
export async function* readFrom(
  listeners: Listeners<InternalEvents>,
  queue: MessageQueue,
): AsyncGenerator<ClientMessage, void, undefined> {
  const waiting: ClientMessage[] = [];
  let wake = (): void => undefined;
  const remove = listeners.on("message", (message) => {
    waiting.push(message);
    if (waiting.length > queuedMessagesMax) {
      waiting.shift();
      listeners.emit("lost", { reason: "overflow", missed: 1 });
    }
    wake();
  });
  const removeEnd = listeners.on("end", () => wake());
  queue.read();
  try {
    for (;;) {
      const message = waiting.shift();
      if (message) yield message;
      else if (queue.hasEnded) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    remove();
    removeEnd();
  }
}
