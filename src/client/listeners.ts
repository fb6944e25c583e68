import { checkNames } from "../wire/options.js";

/** When a listener is removed by itself. */
export interface ListenOptions {
  /** Removes the listener when it is aborted; nothing is added when it already is. */
  readonly signal?: AbortSignal | undefined;
  /** Removes the listener before its first call. */
  readonly once?: boolean | undefined;
}

/** What is used of the set or map that keeps listeners. */
interface Keeper<Listener> {
  add(listener: Listener): unknown;
  delete(listener: Listener): unknown;
}

/**
 * Adds a listener and returns a function that removes it. A listener added twice is called twice.
 *
 * @throws EnfiladeError `ERR_OPTION` when there is no such option.
 */
export function listen<Args extends readonly unknown[]>(
  keeper: Keeper<(...args: Args) => unknown>,
  listener: (...args: Args) => unknown,
  options: ListenOptions = {},
): () => void {
  checkNames("a listener", options, ["signal", "once"]);
  const { signal, once } = options;
  const added = (...args: Args): unknown => {
    if (once) remove();
    return listener(...args);
  };
  const remove = () => {
    keeper.delete(added);
    signal?.removeEventListener("abort", remove);
  };
  if (!signal?.aborted) {
    keeper.add(added);
    signal?.addEventListener("abort", remove);
  }
  return remove;
}

/** The arguments of each event, by its name. */
type Tuples<Events> = Record<keyof Events, readonly unknown[]>;

/** Listeners that cannot harm each other, nor their caller. */
export class Listeners<Events extends Tuples<Events>> {
  // Without a prototype, since names may come from a server.
  readonly #sets: { [Name in keyof Events]?: Set<(...args: Events[Name]) => unknown> } = Object.create(null);
  readonly #onFailure: (error: unknown, event: keyof Events) => void;

  /** @param onFailure Receives what a listener throws, or what the promise it returns is rejected with. */
  constructor(onFailure: (error: unknown, event: keyof Events) => void) {
    this.#onFailure = onFailure;
  }

  /** See {@link listen}. */
  on<Name extends keyof Events>(
    event: Name,
    listener: (...args: Events[Name]) => unknown,
    options?: ListenOptions,
  ): () => void {
    const set = this.#sets[event] ?? new Set();
    this.#sets[event] = set;
    return listen(set, listener, options);
  }

  /** The listeners of an event, in the order in which they were added. */
  of<Name extends keyof Events>(event: Name): readonly ((...args: Events[Name]) => unknown)[] {
    return [...(this.#sets[event] ?? [])];
  }

  /** Returns whether there was a listener. */
  tell<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean {
    const called = this.of(event);
    for (const listener of called) {
      // It runs at once; only that it failed is learnt later, whether it throws or rejects.
      (async () => listener(...args))().catch((error: unknown) => this.#onFailure(error, event));
    }
    return called.length > 0;
  }
}
