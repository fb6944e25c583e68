import { EnfiladeError } from "../errors.js";
import { checkName, checkNames } from "./options.js";

/** How a listener is added. */
export interface ListenOptions {
  /** Removes the listener when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the listener is removed before its first call. Default: `false`. */
  readonly once?: boolean | undefined;
}

type Listener = (...args: never[]) => unknown;

/** Events for listeners of which none can harm another, or the code that notifies them. */
export class Notifier<Events extends Record<keyof Events, readonly unknown[]>> {
  readonly #listeners = new Map<keyof Events, Set<{ readonly call: Listener; readonly once: boolean }>>();
  readonly #onError: (error: unknown) => void;
  readonly #owner: string;
  readonly #names: readonly string[];
  /** What a listener causes is notified after what it was notified of. */
  readonly #waiting: (() => void)[] = [];
  #isNotifying = false;

  /**
   * @param owner As errors name what has the events.
   * @param names The names of all events, as a type checks.
   * @param onError Takes what a listener throws, or what the promise it returns is rejected with.
   */
  constructor(owner: string, names: Readonly<Record<keyof Events, true>>, onError: (error: unknown) => void) {
    this.#owner = owner;
    this.#names = Object.keys(names);
    this.#onError = onError;
  }

  /**
   * Returns a function that removes the listener.
   *
   * @throws EnfiladeError `ERR_OPTION` when there is no such event or option, or the listener is no function.
   */
  on<Name extends keyof Events>(
    event: Name,
    listener: (...args: Events[Name]) => unknown,
    options: ListenOptions = {},
  ): () => void {
    checkName(`${this.#owner} has no event`, String(event), this.#names);
    checkNames("a listener", options, ["signal", "once"]);
    if (typeof listener !== "function") {
      throw new EnfiladeError("ERR_OPTION", `on("${String(event)}") takes a function, got ${typeof listener}`);
    }
    const { signal, once = false } = options;
    const entry = { call: listener, once };
    const entries = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, entries);
    const remove = () => {
      entries.delete(entry);
      signal?.removeEventListener("abort", remove);
    };
    if (signal?.aborted === true) return remove;
    entries.add(entry);
    signal?.addEventListener("abort", remove);
    return remove;
  }

  has(event: keyof Events): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  tell<Name extends keyof Events>(event: Name, ...args: Events[Name]): void {
    this.#waiting.push(() => this.#notify(event, args));
    if (!this.#isNotifying) this.#notifyWaiting();
  }

  /** Notifies together of all that `cause` tells: nothing that a listener causes comes between. */
  together(cause: () => void): void {
    const isFirst = !this.#isNotifying;
    this.#isNotifying = true;
    cause();
    if (isFirst) this.#notifyWaiting();
  }

  #notifyWaiting(): void {
    this.#isNotifying = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    this.#isNotifying = false;
  }

  #notify(event: keyof Events, args: readonly unknown[]): void {
    const entries = this.#listeners.get(event);
    for (const entry of [...(entries ?? [])]) {
      if (entry.once) entries?.delete(entry);
      this.#call(entry.call, args);
    }
  }

  #call(listener: Listener, args: readonly unknown[]): void {
    try {
      // The arguments belong to the event of the listener; an async listener rejects later than this returns.
      Promise.resolve(listener(...(args as never[]))).catch(this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }
}
