import { constants } from "node:os";
import { type Clock, timeIsUp, timerMsMax, within } from "../../connection/clock.js";
import { EnfiladeError } from "../../errors.js";
import { checkNames } from "../../wire/options.js";
import type { Logger } from "../options.js";
import { type DrainOptions, drainConfigOf } from "./drain.js";

/** Options of `app.handleSignals()`. */
export interface SignalOptions extends DrainOptions {
  /** The signals that end the process. Default: `["SIGINT", "SIGTERM"]`. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Milliseconds to move the clients to other nodes, as `drain()` does; 0: they are closed at once. At most 2^31 − 1.
   * Default: 30,000; with the default backplane 0, since there is no other node.
   */
  readonly withinMs?: number | undefined;
  /** Milliseconds for clients to answer and hooks to finish, as `close()` has. Default: the limit `closeMs`. */
  readonly timeoutMs?: number | undefined;
  /** Called when the app is closed, before the process ends, such as to close a database. Default: none. */
  readonly onClosed?: (() => unknown) | undefined;
}

export interface SignalConfig {
  readonly signals: readonly NodeJS.Signals[];
  /** `undefined`: the clients are closed at once. */
  readonly drain: DrainOptions | undefined;
  readonly timeoutMs: number;
  /** Milliseconds from the first signal until the process ends in any case. */
  readonly deadlineMs: number;
  readonly onClosed: (() => unknown) | undefined;
}

/** Milliseconds for the backplane to stop and for `onClosed`, after connections have ended. */
const finishMs = 5_000;
const names = ["signals", "withinMs", "settleMs", "timeoutMs", "onClosed"];

/** The defaults that depend on the app. */
export interface SignalDefaults {
  readonly withinMs: number;
  readonly timeoutMs: number;
}

/** @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is invalid. */
export function signalConfigOf(options: SignalOptions, defaults: SignalDefaults): SignalConfig {
  checkNames("handleSignals()", options, names);
  const { signals = ["SIGINT", "SIGTERM"], withinMs = defaults.withinMs, settleMs, onClosed } = options;
  const { timeoutMs = defaults.timeoutMs } = options;
  checkSignals(signals);
  if (!(typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= timerMsMax)) {
    throw badOption("timeoutMs", `a number above 0 and up to ${timerMsMax}`, timeoutMs);
  }
  if (onClosed !== undefined && typeof onClosed !== "function") throw badOption("onClosed", "a function", onClosed);
  if (withinMs === 0 && settleMs !== undefined) throw badOption("settleMs", "no value without withinMs", settleMs);
  const drain = withinMs === 0 ? undefined : drainConfigOf({ withinMs, settleMs });
  const deadlineMs = Math.min(timerMsMax, withinMs + timeoutMs + finishMs);
  return { signals: [...new Set(signals)], drain, timeoutMs, deadlineMs, onClosed };
}

function checkSignals(signals: unknown): void {
  const isSignal = (name: unknown) => typeof name === "string" && name in constants.signals;
  const isCaught = (name: unknown) => name !== "SIGKILL" && name !== "SIGSTOP";
  const isValid = Array.isArray(signals) && signals.every((name) => isSignal(name) && isCaught(name));
  if (!isValid) throw badOption("signals", 'a list of signals that can be caught, such as ["SIGTERM"]', signals);
}

function badOption(name: string, expected: string, came: unknown): EnfiladeError {
  const shown = typeof came === "string" || typeof came === "number" ? String(came) : JSON.stringify(came);
  return new EnfiladeError("ERR_OPTION", `${name} of handleSignals() takes ${expected}, got ${shown ?? typeof came}`);
}

/** The part of the shutdown that a signal needs. */
interface Ending {
  readonly isAccepting: boolean;
  drain(options: DrainOptions): Promise<unknown>;
  /** Resolves with `false` if connections had to be destroyed. */
  close(timeoutMs: number): Promise<boolean>;
}

export interface SignalDeps {
  readonly shutdown: Ending;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Ends the process in an orderly way on its first signal, and at once on the second. */
export class SignalHandling {
  readonly #deps: SignalDeps;
  readonly #config: SignalConfig;
  #isEnding = false;

  constructor(deps: SignalDeps, config: SignalConfig) {
    this.#deps = deps;
    this.#config = config;
    for (const signal of config.signals) process.on(signal, this.#onSignal);
  }

  /** Removes the listeners. The signals end the process at once again, as without them. */
  remove(): void {
    for (const signal of this.#config.signals) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    // As a shell does: 128 and the number of the signal.
    if (this.#isEnding) process.exit(128 + constants.signals[signal]);
    this.#isEnding = true;
    void this.#end(signal);
  };

  async #end(signal: NodeJS.Signals): Promise<void> {
    const { clock, logger } = this.#deps;
    const { deadlineMs } = this.#config;
    let isComplete = false;
    try {
      const ended = await within(clock, deadlineMs, this.#close());
      isComplete = ended === true;
      if (ended === timeIsUp) logger.warn(`enfilade: the app had not closed ${deadlineMs} ms after ${signal}`);
    } catch (error) {
      logger.error(`enfilade: the app could not be closed after ${signal}`, error);
    }
    process.exit(isComplete ? (process.exitCode ?? 0) : 1);
  }

  /** Resolves with `false` if connections had to be destroyed. */
  async #close(): Promise<boolean> {
    const { shutdown } = this.#deps;
    const { drain, timeoutMs, onClosed } = this.#config;
    if (drain !== undefined && shutdown.isAccepting) await shutdown.drain(drain);
    const isInTime = await shutdown.close(timeoutMs);
    await onClosed?.();
    return isInTime;
  }
}
