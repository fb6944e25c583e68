import type { Clock, Timer } from "../../connection/clock.js";
import { checkNames } from "../../wire/options.js";
import { RequestError } from "../errors.js";
import type { SendQueue } from "./sendQueue.js";

/** How long a request waits. */
export interface RequestOptions {
  /** Gives up when it is aborted, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until it gives up with `timeout`, reconnects included; `Infinity` for never. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
}

/** What no timer can wait: 2^31. */
const foreverMs = 2_147_483_648;

/** Sends a frame, and resolves with its reply. What gave up may have been run all the same. */
export function request(outbox: SendQueue, clock: Clock, frame: object, options: RequestOptions): Promise<unknown> {
  const { signal, timeoutMs = 10_000 } = options;
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined;
    const settle = (error: unknown, reply?: unknown) => {
      timer?.cancel();
      signal?.removeEventListener("abort", abort);
      if (error === undefined) resolve(reply);
      else reject(error);
    };
    const giveUp = (error: unknown) => {
      outbox.withdraw(id);
      settle(error);
    };
    const abort = () => giveUp(signal?.reason);
    const expire = () => giveUp(new RequestError({ code: "timeout", message: `no reply within ${timeoutMs} ms` }));
    // What these three throw is what the promise is rejected with; nothing has been armed then.
    checkNames("request()", options, ["signal", "timeoutMs"]);
    signal?.throwIfAborted();
    const id = outbox.push(frame, settle);
    if (timeoutMs < foreverMs) timer = clock.setTimeout(expire, timeoutMs);
    signal?.addEventListener("abort", abort);
  });
}
