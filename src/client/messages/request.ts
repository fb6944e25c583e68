import type { Clock, Timer } from "../../connection/clock.js";
import { checkNames } from "../../wire/options.js";
import { RequestError } from "../errors.js";
import type { SendQueue } from "./sendQueue.js";

/** Options of {@link ClientRoom.request}. */
export interface RequestOptions {
  /**
   * When it is aborted, the request rejects with its reason. The handler may have answered it already, or may still.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds until the request rejects with `timeout`, including reconnects. `Infinity`: no limit. Default: 10,000.
   */
  readonly timeoutMs?: number | undefined;
}

/** The shortest delay that a timer cannot wait: 2^31. Such a request has no timeout. */
const foreverMs = 2_147_483_648;

/** Sends a frame and resolves with its reply. If the promise rejects, the server may still have run the request. */
export function request(sendQueue: SendQueue, clock: Clock, frame: object, options: RequestOptions): Promise<unknown> {
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
      sendQueue.withdraw(id);
      settle(error);
    };
    const abort = () => giveUp(signal?.reason);
    const expire = () => giveUp(new RequestError({ code: "timeout", message: `no reply within ${timeoutMs} ms` }));
    // If one of these three throws, the promise rejects. There is no timer or listener yet.
    checkNames("request()", options, ["signal", "timeoutMs"]);
    signal?.throwIfAborted();
    const { id } = sendQueue.push(frame, settle);
    if (timeoutMs < foreverMs) timer = clock.setTimeout(expire, timeoutMs);
    signal?.addEventListener("abort", abort);
  });
}
