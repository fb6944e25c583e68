import { EnfiladeError } from "../errors.js";
import { checkName, checkNames } from "./options.js";

/** Options of `app.on()` and `registry.on()`. */
export interface ListenOptions {
  /** Removes the listener when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the listener is removed before its first call. Default: `false`. */
  readonly once?: boolean | undefined;
}

type Listener = (...args: never[]) => unknown;

interface Entry {
  readonly call: Listener;
  /** Called before the first call, with the option `once`. */
  readonly removeOnce: (() => void) | undefined;
}

/** Calls listeners. A listener that throws affects neither other listeners nor the code that causes the event. */
export class Notifier<Events extends Record<keyof Events, readonly unknown[]>> {
  readonly #listeners = new Map<keyof Events, Set<Entry>>();
  readonly #onError: (error: unknown) => void;
  readonly #owner: string;
  readonly #names: readonly string[];
  /** Events that listeners caused: they are notified after the event that is being notified. */
  readonly #waiting: (() => void)[] = [];
  #isNotifying = false;

  /**
   * @param owner The object with the events, as errors name it.
   * @param names The names of all events; the type makes sure that none is missing.
   * @param onError Receives errors that listeners throw, and rejections of promises that they return.
   */
  constructor(owner: string, names: Readonly<Record<keyof Events, true>>, onError: (error: unknown) => void) {
    this.#owner = owner;
    this.#names = Object.keys(names);
    this.#onError = onError;
  }

  /**
   * Adds a listener. Returns a function that removes it.
   *
   * @throws EnfiladeError `ERR_OPTION` when the event or an option is unknown, or the listener is not a function.
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
    const entries = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, entries);
    const remove = () => {
      entries.delete(entry);
      signal?.removeEventListener("abort", remove);
    };
    const entry: Entry = { call: listener, removeOnce: once ? remove : undefined };
    if (signal?.aborted === true) return remove;
    entries.add(entry);
    signal?.addEventListener("abort", remove);
    return remove;
  }

  has(event: keyof Events): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  /** Notifies the listeners of `event`, after those of earlier events. */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): void {
    this.#waiting.push(() => this.#notify(event, args));
    if (!this.#isNotifying) this.#notifyWaiting();
  }

  /** Notifies all events of `cause` in a row, before any event that a listener causes. */
  emitTogether(cause: () => void): void {
    const isFirst = !this.#isNotifying;
    this.#isNotifying = true;
    try {
      cause();
    } finally {
      if (isFirst) this.#notifyWaiting();
    }
  }

  #notifyWaiting(): void {
    this.#isNotifying = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    } finally {
      this.#isNotifying = false;
    }
  }

  #notify(event: keyof Events, args: readonly unknown[]): void {
    for (const { call, removeOnce } of [...(this.#listeners.get(event) ?? [])]) {
      removeOnce?.();
      this.#call(call, args);
    }
  }

  #call(listener: Listener, args: readonly unknown[]): void {
    try {
      // The cast is safe: `on` and `emit` check the arguments by the name of the event.
      Promise.resolve(listener(...(args as never[]))).catch(this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }
}
