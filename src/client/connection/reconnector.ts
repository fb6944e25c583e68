import type { Timer } from "../../connection/clock.js";
import { ABNORMAL, isFinal, isFinalStatus, statusOf } from "../../wire/closeCodes.js";
import type { ReceivedFrame } from "../messages/readFrame.js";
import { Attempt, type AttemptDeps, type AttemptOwner } from "./attempt.js";
import type { PageEvent } from "./page.js";

/**
 * The state of a room. `connecting`: an attempt to connect is under way. `open`: connected. `waiting`: disconnected,
 * until the next attempt. `closed`: for good.
 */
export type ClientState = "connecting" | "open" | "waiting" | "closed";

/**
 * Why the state of a room changed: the second argument of a listener of `"state"`. Properties that do not apply are
 * missing:
 *
 * - `waiting`: `code`, `reason` and `delayMs`, and `status` after a refusal. None while a page is in the back-forward
 *   cache.
 * - `closed`: `code` and `reason`, and `status` after a refusal.
 * - `connecting`: `code` and `reason` if the server has drained the last connection, else none.
 * - `open`: none.
 */
export interface StateDetail {
  /** The close code of the last connection or attempt; 1006 if the connection broke or was never opened. */
  readonly code?: number;
  /**
   * The close reason, `""` if there is none; with 1006 a description of the failure, such as `offline` or `silent` (no
   * answer to a ping).
   */
  readonly reason?: string;
  /**
   * The HTTP status of a refusal: 401 or 404 for the close codes 4501 and 4504, or the status that the WebSocket of
   * `ws` reports. Browsers do not report it.
   */
  readonly status?: number | undefined;
  /** With `waiting`: milliseconds until the next attempt. Missing while a page is in the back-forward cache. */
  readonly delayMs?: number;
}

/** Receives the frames and the states of a reconnector. */
export interface ReconnectorOwner {
  /**
   * A welcome changes the state to `open`, without a call of `onState`.
   *
   * @param size The number of characters of the frame.
   * @param isRenewed True for the welcome of a connection that replaces one that was open until now.
   */
  onFrame(frame: ReceivedFrame, size: number, isRenewed: boolean, connection: Attempt): void;
  /** A connection that was kept for replies may have ended: unanswered frames are sent again. */
  resend(): void;
  onState(state: ClientState, detail: StateDetail): void;
}

const firstDelayMs = 500;
const delayMsMax = 30_000;
/** After the room was connected for this long, delays start from the shortest again. */
const stableMs = 5_000;

/** Keeps a connection to the server: attempts, delays between them, and the change of connections in a drain. */
export class Reconnector implements AttemptOwner, Record<PageEvent["type"], () => void> {
  readonly #deps: AttemptDeps;
  readonly #owner: ReconnectorOwner;
  readonly #random: () => number;
  #state: ClientState = "connecting";
  /** The connection while the state is `open`; `undefined` while waiting and when closed. Set only here. */
  attempt: Attempt | undefined;
  /** Will replace the connection that the server drains. */
  #successor: Attempt | undefined;
  /** Connections that were replaced, and are kept for the replies to frames that were sent on them. */
  readonly #drained = new Set<Attempt>();
  /** Until the next attempt, also one for a successor. */
  #timer: Timer | undefined;
  #failures = 0;
  /** When the room was connected, until the next delay. */
  #openedAt: number | undefined;
  #isAsleep = false;

  constructor(deps: AttemptDeps, random: () => number, owner: ReconnectorOwner) {
    this.#deps = deps;
    this.#random = random;
    this.#owner = owner;
    this.attempt = new Attempt(deps, this);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Closes the connections that were kept for replies, except those in `awaited`. */
  release(awaited: readonly Attempt[]): void {
    for (const drained of this.#drained) {
      if (awaited.includes(drained)) continue;
      this.#drained.delete(drained);
      drained.drop(1000);
    }
  }

  close(detail: StateDetail): void {
    if (this.#state === "closed") return;
    this.#dropAll(detail.code, detail.reason);
    this.#setState("closed", detail);
  }

  /** The network is available again: connects at once. */
  online(): void {
    if (this.#state === "waiting" && !this.#isAsleep) this.#connect({});
  }

  /** The network is not available. Attempts continue, since a server on this machine may still be reachable. */
  offline(): void {
    if (!this.attempt) return;
    this.#dropAll();
    this.#wait({ code: ABNORMAL, reason: "offline" });
  }

  /** The page is hidden. Closes the connection, which would keep the page out of the back-forward cache. */
  pagehide(): void {
    if (this.#state === "closed") return;
    this.#isAsleep = true;
    this.#dropAll(1000);
    this.#setState("waiting", {});
  }

  /** The page is shown again. */
  pageshow(): void {
    this.#isAsleep = false;
    this.online();
  }

  onFrame(attempt: Attempt, frame: ReceivedFrame, text: string): void {
    const isRenewed = attempt === this.#successor;
    const isWelcome = frame.type === "welcome";
    if (isRenewed && isWelcome) {
      this.#successor = undefined;
      // A successor that could not resume would lose the messages that the drained connection still receives.
      if (frame.recovered === false) attempt.drop(1000);
      else {
        if (this.attempt) this.#drained.add(this.attempt);
        this.#forget();
        this.attempt = attempt;
      }
    }
    // A connection that was replaced is kept for replies only, and for the items before them.
    if (attempt !== this.attempt && frame.type !== "reply" && frame.type !== "item") return;
    if (isWelcome) {
      this.#openedAt ??= this.#deps.clock.now();
      this.#state = "open";
    }
    if (frame.type === "drain") this.#connectIn(frame.afterMs ?? 0);
    else this.#owner.onFrame(frame, text.length, isRenewed, attempt);
    if (frame.type === "lagged" && this.#successor) {
      // It resumes after a position whose epoch may be over, and would repeat what comes in the new one.
      this.#successor.drop(1000);
      this.#successor = new Attempt(this.#deps, this);
    }
  }

  onEnd(attempt: Attempt, code: number, reason: string): void {
    // From the close code, or from the error text of `ws`: browsers and undici do not report the status of a refusal.
    const status = statusOf(code) ?? (Number(/response: (\d+)$/.exec(reason)?.[1]) || undefined);
    const isOver = isFinal(code) || isFinalStatus(status);
    const detail = { code, reason, status };
    if (attempt === this.attempt) {
      this.#forget();
      if (isOver) this.close(detail);
      else if (this.#successor) this.#connect(detail);
      else this.#wait(detail);
    } else if (attempt === this.#successor) {
      this.#successor = undefined;
      // The drained connection remains in use until it ends.
      if (!isOver) this.#backOff();
    } else this.#owner.resend();
  }

  /** Starts an attempt, unless there is a successor. While a connection is open, the attempt is its successor. */
  #connect(detail: StateDetail): void {
    this.#timer?.cancel();
    this.#successor ??= new Attempt(this.#deps, this);
    if (this.attempt) return;
    this.attempt = this.#successor;
    this.#successor = undefined;
    this.#setState("connecting", detail);
  }

  /** Starts an attempt after `ms`, in place of one that was to start at another time. */
  #connectIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.setTimeout(() => this.#connect({}), ms);
  }

  /**
   * Waits a random time up to a bound that doubles, so that the clients of a lost server do not reconnect all at once.
   * The bound starts again after `stableMs` of being connected. Returns the time in milliseconds.
   */
  #backOff(): number {
    const now = this.#deps.clock.now();
    if (now - (this.#openedAt ?? now) >= stableMs) this.#failures = 0;
    this.#openedAt = undefined;
    const delayMs = this.#random() * Math.min(delayMsMax, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#connectIn(delayMs);
    return delayMs;
  }

  #wait(detail: StateDetail): void {
    this.#setState("waiting", { ...detail, delayMs: this.#backOff() });
  }

  #dropAll(code?: number, reason?: string): void {
    for (const attempt of [this.attempt, this.#successor, ...this.#drained]) attempt?.drop(code, reason);
    this.#successor = undefined;
    this.#forget();
  }

  /** Clears the attempt and the timer. */
  #forget(): void {
    this.#timer?.cancel();
    this.attempt = undefined;
  }

  /** Callers do this last, since a listener may close the room. */
  #setState(state: ClientState, detail: StateDetail): void {
    this.#state = state;
    this.#owner.onState(state, detail);
  }
}
