import type { Clock } from "../../connection/clock.js";

/** Unlike the server's, its timers keep a process alive: one that waits to connect again has something to wait for. */
export const clientClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
