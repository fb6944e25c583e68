import type { Timer } from "../../connection/clock.js";
import { ABNORMAL, isFinal, isFinalStatus, statusOf } from "../../wire/closeCodes.js";
import type { WelcomeFrame } from "../../wire/frames.js";
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
  onFrame(frame: ReceivedFrame, size: number, isRenewed: boolean): void;
  onState(state: ClientState, detail: StateDetail): void;
}

const firstDelayMs = 500;
const delayMsMax = 30_000;
/** After a connection was open for this long, delays start from the shortest again. */
const stableMs = 5_000;

/** The HTTP status of a refusal: from the close code, or from the error text of `ws`. */
function refusalStatus(code: number, reason: string): number | undefined {
  // Browsers and undici do not report the status.
  const [, status] = /server response: (\d+)$/.exec(reason) ?? [];
  return statusOf(code) ?? (Number(status) || undefined);
}

/** Keeps a connection to the server: attempts, delays between them, and the change of connections in a drain. */
export class Reconnector implements AttemptOwner, Record<PageEvent["type"], () => void> {
  readonly #deps: AttemptDeps;
  readonly #owner: ReconnectorOwner;
  readonly #random: () => number;
  #state: ClientState = "connecting";
  /** `undefined` while waiting and when closed. */
  #attempt: Attempt | undefined;
  /** Will replace the connection that the server drains. */
  #successor: Attempt | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  #openedAt: number | undefined;
  #isAsleep = false;

  constructor(deps: AttemptDeps, random: () => number, owner: ReconnectorOwner) {
    this.#deps = deps;
    this.#random = random;
    this.#owner = owner;
    this.#attempt = new Attempt(deps, this);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Called only while the state is `open`. */
  send(data: string | Uint8Array, logged?: string): void {
    this.#attempt?.send(data, logged);
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
    if (!this.#attempt) return;
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

  onFrame(attempt: Attempt, frame: ReceivedFrame, size: number): void {
    const isRenewed = attempt === this.#successor;
    const isWelcome = frame.type === "welcome";
    if (isRenewed && isWelcome) this.#switchTo(attempt, frame);
    if (attempt !== this.#attempt) return;
    if (isWelcome) {
      this.#openedAt = this.#deps.clock.now();
      this.#state = "open";
    }
    if (frame.type === "drain") this.#successor ??= new Attempt(this.#deps, this);
    else this.#owner.onFrame(frame, size, isRenewed);
  }

  onEnd(attempt: Attempt, code: number, reason: string): void {
    // The drained connection remains in use until it ends.
    if (attempt === this.#successor) this.#successor = undefined;
    if (attempt !== this.#attempt) return;
    this.#forget();
    const status = refusalStatus(code, reason);
    const detail = { code, reason, status };
    if (isFinal(code) || isFinalStatus(status)) this.close(detail);
    else if (this.#successor) this.#connect(detail);
    else this.#wait(detail);
  }

  #switchTo(successor: Attempt, welcome: WelcomeFrame): void {
    this.#successor = undefined;
    // A successor that could not resume would lose the messages that the drained connection still receives.
    const isWorse = welcome.recovered === false;
    (isWorse ? successor : this.#attempt)?.drop(1000);
    if (isWorse) return;
    this.#forget();
    this.#attempt = successor;
  }

  /** Starts an attempt. If a drained connection ended before its successor was open, the successor is that attempt. */
  #connect(detail: StateDetail): void {
    this.#timer?.cancel();
    this.#attempt = this.#successor ?? new Attempt(this.#deps, this);
    this.#successor = undefined;
    this.#setState("connecting", detail);
  }

  /**
   * Waits a random time up to a bound that doubles, so that the clients of a lost server do not reconnect all at once.
   */
  #wait(detail: StateDetail): void {
    const delayMs = this.#random() * Math.min(delayMsMax, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = this.#deps.clock.setTimeout(() => this.#connect({}), delayMs);
    this.#setState("waiting", { ...detail, delayMs });
  }

  #dropAll(code?: number, reason?: string): void {
    this.#timer?.cancel();
    this.#attempt?.drop(code, reason);
    this.#successor?.drop(1000);
    this.#successor = undefined;
    this.#forget();
  }

  /** Clears the attempt. Resets the delays if its connection was open for `stableMs`. */
  #forget(): void {
    const now = this.#deps.clock.now();
    if (now - (this.#openedAt ?? now) >= stableMs) this.#failures = 0;
    this.#openedAt = undefined;
    this.#attempt = undefined;
  }

  /** Callers do this last, since a listener may close the room. */
  #setState(state: ClientState, detail: StateDetail): void {
    this.#state = state;
    this.#owner.onState(state, detail);
  }
}
