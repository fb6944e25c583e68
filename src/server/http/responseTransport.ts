import type {
  Framing,
  GoneListener,
  Refusal,
  Transport,
  TransportEvents,
  TransportOptions,
} from "../../connection/transport.js";
import { eventStreamFraming } from "../../protocol/http/eventStreamFraming.js";
import { ABNORMAL, NO_CODE } from "../../wire/closeCodes.js";
import { answerWithRefusal, hasEnded, type PlainRequest, type ResponseWriter } from "./messages.js";

type RequestSocket = PlainRequest["socket"];

/** The requests on each socket, to be called at its end. */
const atSocketEnd = new WeakMap<RequestSocket, Set<() => void>>();

/** A client that is answered with one HTTP response, which ends with the connection. */
export abstract class ResponseTransport implements Transport {
  readonly framing: Framing = eventStreamFraming;
  readonly protocol: string = "";
  readonly showsStatus = true;
  protected readonly request: PlainRequest;
  protected readonly response: ResponseWriter;
  protected events: TransportEvents | undefined;
  #isOpen = false;
  #onGone = ignore;
  #onEnd = ignore;
  /** How the server ends the connection; `undefined` until it does. */
  #closing: { readonly code: number; readonly reason: string } | undefined;

  constructor(request: PlainRequest, response: ResponseWriter) {
    this.request = request;
    this.response = response;
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#closing === undefined && !hasEnded(this.response);
  }

  get bufferedBytes(): number {
    return this.response.writableLength;
  }

  get receivedBytes(): number {
    return 0;
  }

  whenGone(listener: GoneListener): void {
    const { socket } = this.request;
    this.#onGone = () => {
      this.response.off("close", this.#onGone);
      offSocketEnd(socket, this.#onGone);
      this.#onGone = ignore;
      this.#onEnd();
      // A client needs no code to stop reading.
      const { code, reason } = this.#closing ?? { code: NO_CODE, reason: "" };
      this.events?.onGone(code, reason);
      listener.onGone();
    };
    // A broken response also emits "close".
    this.response.on("error", ignore);
    if (hasEnded(this.response)) {
      queueMicrotask(() => this.#onGone());
      return;
    }
    this.response.on("close", this.#onGone);
    // A response that waits for an earlier one on its socket emits nothing when the socket ends.
    onSocketEnd(socket, this.#onGone);
  }

  /** Calls `onEnd` when the response has ended, before the listener of {@link whenGone}. */
  whenEnded(onEnd: () => void): void {
    this.#onEnd = onEnd;
  }

  open(_options: TransportOptions): boolean {
    this.#isOpen = !hasEnded(this.response) && !this.response.headersSent;
    return this.#isOpen;
  }

  refuse(refusal: Refusal): void {
    this.endWith(ABNORMAL, "");
    answerWithRefusal(this.request, this.response, refusal);
  }

  listen(events: TransportEvents): void {
    this.events = events;
  }

  abstract write(bytes: Uint8Array): void;

  abstract whenWritten(callback: () => void): void;

  abstract ping(): void;

  pause(): void {
    // At most one message is received.
  }

  resume(): void {
    // At most one message is received.
  }

  abstract close(code: number, reason: string): void;

  destroy(): void {
    this.endWith(ABNORMAL, "");
    this.response.destroy();
    // A response that waits for an earlier one emits nothing.
    queueMicrotask(() => this.#onGone());
  }

  /** Notes how the server ends the connection; only the first call counts. */
  protected endWith(code: number, reason: string): void {
    this.#closing ??= { code, reason };
  }
}

/** Adds one listener to a socket for all requests that wait on it: Node warns of a leak when it has more than ten. */
function onSocketEnd(socket: RequestSocket, listener: () => void): void {
  const known = atSocketEnd.get(socket);
  known?.add(listener);
  if (known !== undefined) return;
  const listeners = new Set([listener]);
  atSocketEnd.set(socket, listeners);
  socket.once("close", () => {
    for (const call of [...listeners]) call();
  });
}

function offSocketEnd(socket: RequestSocket, listener: () => void): void {
  atSocketEnd.get(socket)?.delete(listener);
}

function ignore(): void {
  // Nothing is left to do.
}
