import type { Timer } from "../../connection/clock.js";
import { ABNORMAL, isFinal } from "../../wire/closeCodes.js";
import type { WelcomeFrame } from "../../wire/frames.js";
import type { ReceivedFrame } from "../messages/readFrame.js";
import { Attempt, type AttemptDeps, type AttemptOwner } from "./attempt.js";

/** `open` is between a welcome and the end of its connection, `waiting` before another attempt. */
export type ClientState = "connecting" | "open" | "waiting" | "closed";

/** What led to a state. */
export interface StateDetail {
  /** How the last connection ended; 1006 also where none came about. */
  readonly code?: number;
  readonly reason?: string;
  /** Milliseconds until the next attempt; missing in a page that is hidden in the back-forward cache. */
  readonly delayMs?: number;
}

/** Whose line it is. */
export interface ReconnectorOwner {
  /**
   * It is `open`; this is told by no other call.
   *
   * @param renewed Whether it was before: the connection is another one, and the one before lasted until now.
   */
  onWelcome(welcome: WelcomeFrame, renewed: boolean): void;
  /** @param size Characters of it. */
  onFrame(frame: ReceivedFrame, size: number): void;
  onState(state: ClientState, detail: StateDetail): void;
}

const firstDelayMs = 500;
const delayMsMax = 30_000;
/** A connection that was open for so long begins anew with short delays. */
const stableMs = 5_000;

/** The connection to the server, however many it takes one after the other. */
export class Reconnector implements AttemptOwner {
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
  send(text: string, shown?: string): void {
    this.#link?.send(text, shown);
  }

  close(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#drop(code, reason);
    this.#become("closed", { code, reason });
  }

  /** The network is back: there is no use in waiting. */
  wake(): void {
    if (this.#state === "waiting" && !this.#asleep) this.#dial();
  }

  /** The network is gone. What it says may be wrong, of a server on this machine say: attempts go on. */
  lose(): void {
    if (this.#link === undefined) return;
    this.#drop();
    this.#wait(ABNORMAL, "offline");
  }

  /** The page may lie in the back-forward cache now, where an open connection would not let it. */
  sleep(): void {
    if (this.#state === "closed") return;
    this.#asleep = true;
    this.#drop(1000);
    this.#become("waiting", {});
  }

  /** The page is back. */
  rise(): void {
    this.#asleep = false;
    this.wake();
  }

  onFrame(link: Attempt, frame: ReceivedFrame, size: number): void {
    if (link === this.#successor && frame.type === "welcome") this.#switchTo(link, frame);
    else if (link !== this.#link) return;
    else if (frame.type === "welcome") this.#welcome(frame, false);
    else if (frame.type === "drain") this.#successor ??= new Attempt(this.#deps, this);
    else this.#owner.onFrame(frame, size);
  }

  onEnd(link: Attempt, code: number, reason: string): void {
    // The one that is drained is kept until it ends.
    if (link === this.#successor) this.#successor = undefined;
    if (link !== this.#link) return;
    this.#leave();
    if (isFinal(code)) this.close(code, reason);
    else if (this.#successor === undefined) this.#wait(code, reason);
    else this.#promote({ code, reason });
  }

  #switchTo(link: Attempt, welcome: WelcomeFrame): void {
    this.#successor = undefined;
    // It would lose what the one that is drained still brings.
    const isWorse = welcome.recovered === false;
    (isWorse ? link : this.#link)?.drop(1000);
    if (isWorse) return;
    this.#leave();
    this.#link = link;
    this.#welcome(welcome, true);
  }

  /** The drained connection ended before its successor was there. */
  #promote(detail: StateDetail): void {
    this.#link = this.#successor;
    this.#successor = undefined;
    this.#become("connecting", detail);
  }

  #welcome(welcome: WelcomeFrame, renewed: boolean): void {
    this.#openedAt = this.#deps.clock.now();
    this.#state = "open";
    this.#owner.onWelcome(welcome, renewed);
  }

  #dial(): void {
    this.#timer?.cancel();
    this.#link = new Attempt(this.#deps, this);
    this.#become("connecting", {});
  }

  /** Any time up to a bound that doubles: clients that lost their server together do not come back together. */
  #wait(code: number, reason: string): void {
    const delayMs = this.#random() * Math.min(delayMsMax, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = this.#deps.clock.setTimeout(() => this.#dial(), delayMs);
    this.#become("waiting", { code, reason, delayMs });
  }

  #drop(code?: number, reason?: string): void {
    this.#timer?.cancel();
    this.#link?.drop(code, reason);
    this.#successor?.drop(1000);
    this.#successor = undefined;
    this.#leave();
  }

  #leave(): void {
    const openMs = this.#openedAt === undefined ? 0 : this.#deps.clock.now() - this.#openedAt;
    if (openMs >= stableMs) this.#failures = 0;
    this.#openedAt = undefined;
    this.#link = undefined;
  }

  /** Last in whatever does it, since a listener may close. */
  #become(state: ClientState, detail: StateDetail): void {
    this.#state = state;
    this.#owner.onState(state, detail);
  }
}
