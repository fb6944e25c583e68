import type { Clock, Timer } from "../../connection/clock.js";
import { ABNORMAL } from "../../wire/closeCodes.js";
import { type ReceivedFrame, readFrame } from "../messages/readFrame.js";
import type { WebSocketConstructor, WebSocketLike } from "./socket.js";

/** Whose link it is. Is told of it until it has ended, and nothing any more of one that was dropped. */
export interface AttemptOwner {
  /**
   * The first is the welcome.
   *
   * @param size Characters of it.
   */
  onFrame(link: Attempt, frame: ReceivedFrame, size: number): void;
  onEnd(link: Attempt, code: number, reason: string): void;
}

/** What the links of one room have in common. */
export interface AttemptDeps {
  readonly WebSocket: WebSocketConstructor;
  /** Asked when there is a token: until then the position may have moved on. */
  readonly url: () => string;
  /** The subprotocols to offer. */
  readonly offer: () => Promise<string[]>;
  readonly clock: Clock;
  /** Takes a line for each frame. */
  readonly trace: (line: string) => void;
  readonly report: (error: unknown) => void;
}

/** The reason of an attempt that ended with an error of this side, which was reported. */
export const notAttempted = "not attempted";

/** For a welcome to come, and for a pong. */
const patienceMs = 10_000;

/** One attempt, and if it succeeds, one connection. What its socket tells after its end reaches nobody. */
export class Attempt {
  readonly #deps: AttemptDeps;
  readonly #owner: AttemptOwner;
  #socket: WebSocketLike | undefined;
  #timer: Timer | undefined;
  #heartbeatMs: number | undefined;
  #heardAt = 0;
  #pinged = false;
  #over = false;

  constructor(deps: AttemptDeps, owner: AttemptOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#checkIn(patienceMs);
    this.#open().catch((error: unknown) => {
      if (!this.#over) deps.report(error);
      this.fail(notAttempted);
    });
  }

  /** @param shown What the log says of it. */
  send(data: string | Uint8Array, shown = typeof data === "string" ? data : `${data.length} bytes`): void {
    this.#socket?.send(data);
    this.#deps.trace(`→ ${shown}`);
  }

  /** Ends it; its owner hears no more of it. */
  drop(code?: number, reason?: string): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#socket?.close(code, reason);
  }

  /** Ends it, and tells its owner. */
  fail(reason: string): void {
    this.#end(ABNORMAL, reason);
    this.#socket?.close();
  }

  async #open(): Promise<void> {
    const { WebSocket, offer, url } = this.#deps;
    const subprotocols = await offer();
    if (this.#over) return;
    const socket = new WebSocket(url(), subprotocols);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#hear(data));
    socket.addEventListener("close", ({ code = ABNORMAL, reason = "" }) => this.#end(code, reason));
    // A close follows, but not from each implementation where there was no connection yet.
    socket.addEventListener(
      "error",
      // Only outside of a page is there a word of why.
      ({ message = "no connection" }) => this.#heartbeatMs === undefined && this.#end(ABNORMAL, message),
    );
  }

  #hear(data: unknown): void {
    if (this.#over) return;
    const { trace, report } = this.#deps;
    trace(`← ${data}`);
    this.#heardAt = this.#deps.clock.now();
    this.#pinged = false;
    try {
      const text = String(data);
      this.#take(readFrame(text), text.length);
    } catch (error) {
      report(error);
    }
  }

  #take(frame: ReceivedFrame, size: number): void {
    const isWelcome = frame.type === "welcome";
    // First and once.
    if (isWelcome !== (this.#heartbeatMs === undefined)) return;
    if (isWelcome) {
      this.#heartbeatMs = frame.heartbeatMs;
      this.#checkIn(frame.heartbeatMs);
    }
    this.#owner.onFrame(this, frame, size);
  }

  #checkIn(ms: number): void {
    this.#timer?.cancel();
    if (ms > 0) this.#timer = this.#deps.clock.setTimeout(() => this.#check(), ms);
  }

  /** A page sees no control frames: whether the other side is there it finds out by asking. */
  #check(): void {
    if (this.#heartbeatMs === undefined || this.#pinged) {
      this.fail("silent");
      return;
    }
    const left = this.#heardAt + this.#heartbeatMs - this.#deps.clock.now();
    this.#pinged = left <= 0;
    if (this.#pinged) this.send('{"type":"ping"}');
    this.#checkIn(this.#pinged ? patienceMs : left);
  }

  #end(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#owner.onEnd(this, code, reason);
  }
}
