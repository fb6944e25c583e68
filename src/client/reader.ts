import { keptMax } from "./inbox.js";
import type { Message } from "./message.js";

/** Where messages are read; what it returns ends the reading. */
export type Attach = (put: (message: Message) => void, end: () => void) => () => void;

/** Messages from the first read on, until there are no more; past a bound the oldest goes, and `onDropped` is called. */
export async function* readFrom(attach: Attach, onDropped: () => void): AsyncGenerator<Message, void, undefined> {
  const waiting: Message[] = [];
  let hasEnded = false;
  let wake = (): void => undefined;
  const put = (message: Message) => {
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
