import { checkNames } from "../wire/options.js";

/** Options of `on`, `onEvent`, `onRequest` and `onResync`. */
export interface ListenOptions {
  /** Removes the listener when it is aborted. If it is aborted already, the listener is not added. */
  readonly signal?: AbortSignal | undefined;
  /** If true, the listener is called at most once. Default: `false`. */
  readonly once?: boolean | undefined;
}

/** The part of a `Set` that {@link listen} uses. */
interface ListenerSet<Listener> {
  add(listener: Listener): unknown;
  delete(listener: Listener): unknown;
}

/**
 * Adds a listener and returns a function that removes it. A listener added twice is called twice.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
 */
export function listen<Args extends readonly unknown[]>(
  listeners: ListenerSet<(...args: Args) => unknown>,
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
    listeners.delete(added);
    signal?.removeEventListener("abort", remove);
  };
  if (!signal?.aborted) {
    listeners.add(added);
    signal?.addEventListener("abort", remove);
  }
  return remove;
}

/** The arguments of each event, by its name. */
type EventMap<Events> = Record<keyof Events, readonly unknown[]>;

/** Calls listeners by the name of an event. An error of one does not affect the others or the caller. */
export class Listeners<Events extends EventMap<Events>> {
  // Has no prototype, since names may come from the server.
  readonly #sets: { [Name in keyof Events]?: Set<(...args: Events[Name]) => unknown> } = Object.create(null);
  readonly #onFailure: (error: unknown, event: keyof Events) => void;

  /** @param onFailure Receives the errors that listeners throw or reject with. */
  constructor(onFailure: (error: unknown, event: keyof Events) => void) {
    this.#onFailure = onFailure;
  }

  /** Adds a listener; see {@link listen}. */
  on<Name extends keyof Events>(
    event: Name,
    listener: (...args: Events[Name]) => unknown,
    options?: ListenOptions,
  ): () => void {
    this.#sets[event] ??= new Set();
    return listen(this.#sets[event], listener, options);
  }

  /** The listeners of an event, in the order in which they were added. */
  of<Name extends keyof Events>(event: Name): readonly ((...args: Events[Name]) => unknown)[] {
    return [...(this.#sets[event] ?? [])];
  }

  /** Calls the listeners of an event. Returns true if there was one. */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean {
    const called = this.of(event);
    for (const listener of called) {
      // The listener runs at once. An error, thrown or rejected, is reported later.
      (async () => listener(...args))().catch((error: unknown) => this.#onFailure(error, event));
    }
    return called.length > 0;
  }
}
