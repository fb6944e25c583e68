import type { Clock, Timer } from "../../connection/clock.js";
import { ABNORMAL } from "../../wire/closeCodes.js";
import { type ReceivedFrame, readFrame } from "../messages/readFrame.js";
import type { WebSocketConstructor, WebSocketLike } from "./socket.js";

/** Receives the frames of an attempt and its end. Not called after the end, nor after `drop`. */
export interface AttemptOwner {
  /**
   * The first frame is the welcome.
   *
   * @param size The number of characters of the frame.
   */
  onFrame(attempt: Attempt, frame: ReceivedFrame, size: number): void;
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
  #isPinged = false;
  #hasEnded = false;

  constructor(deps: AttemptDeps, owner: AttemptOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#checkAfter(answerMs);
    this.#open().catch((error: unknown) => {
      if (!this.#hasEnded) deps.report(error);
      this.fail(notAttempted);
    });
  }

  /** @param logged The text for the log, if `data` must not be logged. */
  send(data: string | Uint8Array, logged = typeof data === "string" ? data : `${data.length} bytes`): void {
    this.#socket?.send(data);
    this.#deps.trace(`→ ${logged}`);
  }

  /** Closes the connection without a call of `onEnd`. */
  drop(code?: number, reason?: string): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
    this.#socket?.close(code, reason);
  }

  /** Calls `onEnd` with 1006 and closes the socket. */
  fail(reason: string): void {
    this.#end(ABNORMAL, reason);
    this.#socket?.close();
  }

  async #open(): Promise<void> {
    const { WebSocket, offer, url } = this.#deps;
    const subprotocols = await offer();
    if (this.#hasEnded) return;
    const socket = new WebSocket(url(), subprotocols);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#onMessage(data));
    socket.addEventListener("close", ({ code = ABNORMAL, reason = "" }) => this.#end(code, reason));
    // Before the connection is open, some implementations emit no close event after an error.
    socket.addEventListener(
      "error",
      // In a page an error event has no message.
      ({ message = "no connection" }) => this.#heartbeatMs === undefined && this.#end(ABNORMAL, message),
    );
  }

  #onMessage(data: unknown): void {
    if (this.#hasEnded) return;
    const { trace, report } = this.#deps;
    trace(`← ${data}`);
    this.#receivedAt = this.#deps.clock.now();
    this.#isPinged = false;
    try {
      const text = String(data);
      this.#onFrame(readFrame(text), text.length);
    } catch (error) {
      report(error);
    }
  }

  #onFrame(frame: ReceivedFrame, size: number): void {
    const isWelcome = frame.type === "welcome";
    // The welcome must be the first frame, and must come once. Other frames are ignored.
    if (isWelcome !== (this.#heartbeatMs === undefined)) return;
    if (isWelcome) {
      this.#heartbeatMs = frame.heartbeatMs;
      this.#checkAfter(frame.heartbeatMs);
    }
    this.#owner.onFrame(this, frame, size);
  }

  #checkAfter(ms: number): void {
    this.#timer?.cancel();
    if (ms > 0) this.#timer = this.#deps.clock.setTimeout(() => this.#check(), ms);
  }

  /**
   * Checks that the server is alive. A page sees no control frames, so it sends a ping of `enfilade.v1` after silence.
   */
  #check(): void {
    if (this.#heartbeatMs === undefined || this.#isPinged) {
      this.fail("silent");
      return;
    }
    const leftMs = this.#receivedAt + this.#heartbeatMs - this.#deps.clock.now();
    this.#isPinged = leftMs <= 0;
    if (this.#isPinged) this.send('{"type":"ping"}');
    this.#checkAfter(this.#isPinged ? answerMs : leftMs);
  }

  #end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#timer?.cancel();
    this.#owner.onEnd(this, code, reason);
  }
}
