import type { ClientMessage } from "./message.js";
import { keptMax } from "./messageQueue.js";

/** Where messages are read; what it returns ends the reading. */
export type Attach = (put: (message: ClientMessage) => void, end: () => void) => () => void;

/** Messages from the first read on, until there are no more; past a bound the oldest goes, and `onDropped` is called. */
export async function* readFrom(attach: Attach, onDropped: () => void): AsyncGenerator<ClientMessage, void, undefined> {
  const waiting: ClientMessage[] = [];
  let hasEnded = false;
  let wake = (): void => undefined;
  const put = (message: ClientMessage) => {
    waiting.push(message);
    if (waiting.length > keptMax && waiting.shift() !== undefined) onDropped();
    wake();
  };
  const end = () => {
    hasEnded = true;
    wake();
  };
  const detach = attach(put, end);
  try {
    for (;;) {
      const message = waiting.shift();
      if (message !== undefined) yield message;
      else if (hasEnded) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    detach();
  }
}
