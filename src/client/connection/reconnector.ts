import type { Timer } from "../../connection/clock.js";
import { ABNORMAL, isFinal, isFinalStatus, statusOf } from "../../wire/closeCodes.js";
import type { WelcomeFrame } from "../../wire/frames.js";
import type { ReceivedFrame } from "../messages/readFrame.js";
import { Attempt, type AttemptDeps, type AttemptOwner } from "./attempt.js";
import type { PageEvent } from "./page.js";

/** `open` is between a welcome and the end of its connection, `waiting` before another attempt. */
export type ClientState = "connecting" | "open" | "waiting" | "closed";

/** What led to a state. */
export interface StateDetail {
  /** How the last connection ended; 1006 also where none came about. */
  readonly code?: number;
  readonly reason?: string;
  /** The HTTP status of a refusal, where the WebSocket tells it (`ws` does), or that the close code stands for: 401 or 404. */
  readonly status?: number | undefined;
  /** Milliseconds until the next attempt; missing in a page that is hidden in the back-forward cache. */
  readonly delayMs?: number;
}

/** Whose line it is. */
export interface ReconnectorOwner {
  /**
   * A welcome says that it is `open`; no other call does.
   *
   * @param size Characters of it.
   * @param isRenewed Whether a welcome is that of another connection, and the one before lasted until now.
   */
  onFrame(frame: ReceivedFrame, size: number, isRenewed: boolean): void;
  onState(state: ClientState, detail: StateDetail): void;
}

const firstDelayMs = 500;
const delayMsMax = 30_000;
/** A connection that was open for so long begins anew with short delays. */
const stableMs = 5_000;

/** The status that a close code stands for, or of a handshake that was refused, in the words of `ws`. */
function refusalStatus(code: number, reason: string): number | undefined {
  // Browsers and undici do not tell it.
  const [, status] = /server response: (\d+)$/.exec(reason) ?? [];
  return statusOf(code) ?? (Number(status) || undefined);
}

/** The connection to the server, however many it takes one after the other. */
export class Reconnector implements AttemptOwner, Record<PageEvent["type"], () => void> {
  readonly #deps: AttemptDeps;
  readonly #owner: ReconnectorOwner;
  readonly #random: () => number;
  #state: ClientState = "connecting";
  /** None while it waits. */
  #link: Attempt | undefined;
  /** Is to take the place of the one that the server drains. */
  #successor: Attempt | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  #openedAt: number | undefined;
  #asleep = false;

  constructor(deps: AttemptDeps, random: () => number, owner: ReconnectorOwner) {
    this.#deps = deps;
    this.#random = random;
    this.#owner = owner;
    this.#link = new Attempt(deps, this);
  }

  get state(): ClientState {
    return this.#state;
  }

  /** For while it is open. */
  send(data: string | Uint8Array, shown?: string): void {
    this.#link?.send(data, shown);
  }

  close(detail: StateDetail): void {
    if (this.#state === "closed") return;
    this.#drop(detail.code, detail.reason);
    this.#become("closed", detail);
  }

  /** The network is back: there is no use in waiting. */
  online(): void {
    if (this.#state === "waiting" && !this.#asleep) this.#dial({});
  }

  /** The network is gone. What it says may be wrong, of a server on this machine say: attempts go on. */
  offline(): void {
    if (!this.#link) return;
    this.#drop();
    this.#wait({ code: ABNORMAL, reason: "offline" });
  }

  /** The page may lie in the back-forward cache now, where an open connection would not let it. */
  pagehide(): void {
    if (this.#state === "closed") return;
    this.#asleep = true;
    this.#drop(1000);
    this.#become("waiting", {});
  }

  /** The page is back. */
  pageshow(): void {
    this.#asleep = false;
    this.online();
  }

  onFrame(link: Attempt, frame: ReceivedFrame, size: number): void {
    const isRenewed = link === this.#successor;
    const isWelcome = frame.type === "welcome";
    if (isRenewed && isWelcome) this.#switchTo(link, frame);
    if (link !== this.#link) return;
    if (isWelcome) {
      this.#openedAt = this.#deps.clock.now();
      this.#state = "open";
    }
    if (frame.type === "drain") this.#successor ??= new Attempt(this.#deps, this);
    else this.#owner.onFrame(frame, size, isRenewed);
  }

  onEnd(link: Attempt, code: number, reason: string): void {
    // The one that is drained is kept until it ends.
    if (link === this.#successor) this.#successor = undefined;
    if (link !== this.#link) return;
    this.#leave();
    const status = refusalStatus(code, reason);
    const detail = { code, reason, status };
    if (isFinal(code) || isFinalStatus(status)) this.close(detail);
    else if (this.#successor) this.#dial(detail);
    else this.#wait(detail);
  }

  #switchTo(link: Attempt, welcome: WelcomeFrame): void {
    this.#successor = undefined;
    // It would lose what the one that is drained still brings.
    const isWorse = welcome.recovered === false;
    (isWorse ? link : this.#link)?.drop(1000);
    if (isWorse) return;
    this.#leave();
    this.#link = link;
  }

  /** There is an attempt already where a drained connection ended before its successor was open. */
  #dial(detail: StateDetail): void {
    this.#timer?.cancel();
    this.#link = this.#successor ?? new Attempt(this.#deps, this);
    this.#successor = undefined;
    this.#become("connecting", detail);
  }

  /** Any time up to a bound that doubles: clients that lost their server together do not come back together. */
  #wait(detail: StateDetail): void {
    const delayMs = this.#random() * Math.min(delayMsMax, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = this.#deps.clock.setTimeout(() => this.#dial({}), delayMs);
    this.#become("waiting", { ...detail, delayMs });
  }

  #drop(code?: number, reason?: string): void {
    this.#timer?.cancel();
    this.#link?.drop(code, reason);
    this.#successor?.drop(1000);
    this.#successor = undefined;
    this.#leave();
  }

  #leave(): void {
    const now = this.#deps.clock.now();
    if (now - (this.#openedAt ?? now) >= stableMs) this.#failures = 0;
    this.#openedAt = undefined;
    this.#link = undefined;
  }

  /** Last in whatever does it, since a listener may close. */
  #become(state: ClientState, detail: StateDetail): void {
    this.#state = state;
    this.#owner.onState(state, detail);
  }
}
