import type { Clock, Timer } from "../../connection/clock.js";
import { ABNORMAL } from "../../wire/closeCodes.js";
import { type ReceivedFrame, readFrame } from "../messages/readFrame.js";
import type { SocketEvent, WebSocketConstructor, WebSocketLike } from "./socket.js";

/** Receives the frames of an attempt and its end. Not called after the end, nor after `drop`. */
export interface AttemptOwner {
  /**
   * The first frame is the welcome.
   *
   * @param text The frame as it was received.
   */
  onFrame(attempt: Attempt, frame: ReceivedFrame, text: string): void;
  onEnd(attempt: Attempt, code: number, reason: string): void;
}

/** The dependencies that all attempts of one room share. */
export interface AttemptDeps {
  readonly WebSocket: WebSocketConstructor;
  /** Returns the URL. Called when the token is there, since the position may change until then. */
  readonly url: () => string;
  /** Resolves with the subprotocols to offer. */
  readonly offer: () => Promise<string[]>;
  readonly clock: Clock;
  /** Receives a log line for each frame. */
  readonly trace: (line: string) => void;
  readonly report: (error: unknown) => void;
}

/**
 * The close reason of an attempt that failed in this client, such as with an error of `token`. The error was reported.
 */
export const notAttempted = "not attempted";

/** The time for the server to send a welcome or a pong. */
const answerMs = 10_000;

/** One attempt to connect, and if it succeeds, the connection. Ignores events of its socket after its end. */
export class Attempt {
  readonly #deps: AttemptDeps;
  readonly #owner: AttemptOwner;
  #socket: WebSocketLike | undefined;
  #timer: Timer | undefined;
  #heartbeatMs: number | undefined;
  #receivedAt = 0;
  /** Whether the server has to send something: a welcome, or a pong. */
  #isAsked = true;
  /** True after the end, also after `drop`. */
  hasEnded = false;

  constructor(deps: AttemptDeps, owner: AttemptOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#checkAfter(answerMs);
    this.#open().catch((error: unknown) => {
      if (!this.hasEnded) deps.report(error);
      this.#end(ABNORMAL, notAttempted);
    });
  }

  /** @param logged The text for the log, if `data` must not be logged. */
  send(data: string | Uint8Array, logged = typeof data === "string" ? data : `${data.length} bytes`): void {
    this.#socket?.send(data);
    this.#deps.trace(`→ ${logged}`);
  }

  /** Closes the connection without a call of `onEnd`. */
  drop(code?: number, reason?: string): void {
    this.hasEnded = true;
    this.#timer?.cancel();
    this.#socket?.close(code, reason);
  }

  async #open(): Promise<void> {
    const { WebSocket, offer, url } = this.#deps;
    const subprotocols = await offer();
    if (this.hasEnded) return;
    const socket = new WebSocket(url(), subprotocols);
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#onMessage(event));
    socket.addEventListener("close", ({ code = ABNORMAL, reason = "" }) => this.#end(code, reason));
    // Before the connection is open, some implementations emit no close event after an error.
    socket.addEventListener(
      "error",
      // In a page an error event has no message.
      ({ message = "no connection" }) => this.#heartbeatMs === undefined && this.#end(ABNORMAL, message),
    );
  }

  #onMessage({ data, frame: parsed }: SocketEvent): void {
    if (this.hasEnded) return;
    const { clock, trace, report } = this.#deps;
    trace(`← ${data}`);
    try {
      const text = String(data);
      const frame = parsed ?? readFrame(text);
      const isWelcome = frame.type === "welcome";
      // The welcome must be the first frame, and must come once. Other frames are ignored.
      if (isWelcome !== (this.#heartbeatMs === undefined)) return;
      this.#receivedAt = clock.now();
      this.#isAsked = false;
      if (isWelcome) {
        this.#heartbeatMs = frame.heartbeatMs;
        this.#checkAfter(frame.heartbeatMs);
      }
      this.#owner.onFrame(this, frame, text);
    } catch (error) {
      report(error);
    }
  }

  #checkAfter(ms: number): void {
    this.#timer?.cancel();
    if (ms > 0) this.#timer = this.#deps.clock.setTimeout(() => this.#check(), ms);
  }

  /**
   * Checks that the server is alive. A page sees no control frames, so it sends a ping of `enfilade.v1` after silence.
   */
  #check(): void {
    if (this.#isAsked) {
      this.#end(ABNORMAL, "silent");
      return;
    }
    const leftMs = this.#receivedAt + (this.#heartbeatMs ?? 0) - this.#deps.clock.now();
    this.#isAsked = leftMs <= 0;
    if (this.#isAsked) this.send('{"type":"ping"}');
    this.#checkAfter(this.#isAsked ? answerMs : leftMs);
  }

  #end(code: number, reason: string): void {
    if (this.hasEnded) return;
    this.drop();
    this.#owner.onEnd(this, code, reason);
  }
}
