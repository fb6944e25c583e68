import type { App } from "../../src/index.js";
import type { Publishing } from "./settings.js";

/** Milliseconds between the steps of the publisher. */
const stepMs = 5;
/** Milliseconds that it makes up for: a busy machine gets a lower rate in place of a burst. */
const lateMsMax = 50;

/** Sends numbers to rooms at a steady rate: as text with a padding, `7 xxx`, or without padding as JSON. */
export class Publisher {
  #timer: NodeJS.Timeout | undefined;
  #counts = new Map<string, number>();

  constructor(readonly app: App) {}

  start({ paths, perSecond, padding }: Publishing): void {
    const text = "x".repeat(padding);
    let [last, due, next] = [performance.now(), 0, 0];
    this.#timer = setInterval(() => {
      const now = performance.now();
      due += (perSecond * Math.min(now - last, lateMsMax)) / 1_000;
      last = now;
      for (; due >= 1; due -= 1) {
        const path = paths[next % paths.length] ?? "/chat/none";
        next += 1;
        const number = (this.#counts.get(path) ?? 0) + 1;
        this.#counts.set(path, number);
        const room = this.app.registry.room(path);
        if (padding === 0) room.sendJSON(number);
        else room.sendText(`${number} ${text}`);
      }
    }, stepMs);
  }

  /** Stops, and returns how many texts each room got. */
  stop(): Record<string, number> {
    clearInterval(this.#timer);
    return Object.fromEntries(this.#counts);
  }
}
