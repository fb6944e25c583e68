import type { Clock } from "../../connection/clock.js";

/**
 * The system's time. Unlike the timers of the server, these keep the process alive while a client waits to reconnect.
 */
export const clientClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
