import { type Clock, deferred, type Timer, timerMsMax } from "../../connection/clock.js";
import type { RequestOptions, Requests } from "../../connection/codec.js";
import { ConnectionError, EnfiladeError, RequestError } from "../../errors.js";
import type { EventFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { oneLine } from "../../wire/line.js";
import { checkNames } from "../../wire/options.js";
import type { Member } from "../dialect.js";
import type { Outcome } from "../receipts/reply.js";
import { frameText } from "./frames.js";

export interface V1RequestsDeps {
  readonly member: Member;
  readonly clock: Clock;
  readonly send: (frame: string) => void;
}

interface PendingRequest {
  resolve(data: unknown): void;
  reject(error: unknown): void;
}

const timeoutMsDefault = 10_000;
/** Characters of an error that a client answers; longer texts are cut. */
const codeLengthMax = 64;
const messageLengthMax = 1_024;

/** Requests to one client. Each is pending until it is answered, timed out or aborted, or until the connection ends. */
export class V1Requests implements Requests {
  readonly #deps: V1RequestsDeps;
  readonly #pending = new Map<FrameId, PendingRequest>();
  #lastId = 0;

  constructor(deps: V1RequestsDeps) {
    this.#deps = deps;
  }

  async request(event: string, data: unknown, options: RequestOptions): Promise<unknown> {
    const { member, send } = this.#deps;
    checkRequest(event, options);
    options.signal?.throwIfAborted();
    if (!member.isOpen) throw new ConnectionError(member.closeInfo ?? (await member.ended));
    this.#checkSpace();
    const id = this.#lastId + 1;
    const frame = frameText("request", { id, event, data });
    this.#lastId = id;
    const reply = this.#wait(id, event, options);
    send(frame);
    return reply;
  }

  /** Settles a request. A reply without a pending request is ignored: the request may have timed out before. */
  settle(id: FrameId, outcome: Outcome): void {
    const request = this.#pending.get(id);
    if ("data" in outcome) request?.resolve(outcome.data);
    else request?.reject(errorOf(outcome.error));
  }

  #wait(id: FrameId, event: string, { timeoutMs = timeoutMsDefault, signal }: RequestOptions): Promise<unknown> {
    const { promise, resolve, reject } = deferred<unknown>();
    const onAbort = () => settle(() => reject(signal?.reason));
    const onTimeout = () => settle(() => reject(timeoutError(event, timeoutMs)));
    const settle = (settlePromise: () => void) => {
      this.#pending.delete(id);
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
      settlePromise();
    };
    const timer: Timer | undefined =
      timeoutMs > timerMsMax ? undefined : this.#deps.clock.setTimeout(onTimeout, timeoutMs);
    signal?.addEventListener("abort", onAbort);
    // Adding the same listener twice has no effect.
    this.#deps.member.signal.addEventListener("abort", this.#onEnd);
    this.#pending.set(id, {
      resolve: (data) => settle(() => resolve(data)),
      reject: (error) => settle(() => reject(error)),
    });
    return promise;
  }

  readonly #onEnd = (): void => {
    const { member } = this.#deps;
    const rejectAll = (error: ConnectionError) => {
      for (const request of [...this.#pending.values()]) request.reject(error);
    };
    if (member.closeInfo !== undefined) rejectAll(member.error);
    // The signal may be aborted before the close code is known.
    else void member.ended.then((info) => rejectAll(new ConnectionError(info)));
  };

  #checkSpace(): void {
    const { requestsMax } = this.#deps.member.limits;
    if (this.#pending.size < requestsMax) return;
    const message = `${requestsMax} requests to this client have no reply yet; await replies, or raise requestsMax`;
    throw new RequestError("ERR_REQUESTS_MAX", message);
  }
}

function checkRequest(event: unknown, options: RequestOptions): void {
  checkNames("sendRequest()", options, ["timeoutMs", "signal"]);
  if (typeof event !== "string") {
    throw new EnfiladeError("ERR_VALUE", `sendRequest takes an event name, a string; got ${typeof event}`);
  }
  const timeoutMs: unknown = options.timeoutMs;
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs > 0)) return;
  throw new EnfiladeError("ERR_OPTION", `timeoutMs takes milliseconds above 0, or Infinity; got ${String(timeoutMs)}`);
}

function timeoutError(event: string, timeoutMs: number): RequestError {
  const message = `the client did not answer the request ${JSON.stringify(event)} within ${timeoutMs} ms`;
  return new RequestError("ERR_REQUEST_TIMEOUT", message);
}

function errorOf({ code, message }: EventFailure): RequestError {
  return new RequestError("ERR_REQUEST", oneLine(message, messageLengthMax), oneLine(code, codeLengthMax));
}
