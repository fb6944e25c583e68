/** What events are told with, by their names. */
type Tuples<Events> = Record<keyof Events, readonly unknown[]>;

/** Listeners of which none can harm another, or whoever tells them. */
export class Listeners<Events extends Tuples<Events>> {
  readonly #sets: { [Name in keyof Events]?: Set<(...args: Events[Name]) => unknown> } = {};
  readonly #failed: (error: unknown, event: keyof Events) => void;

  /** @param failed Takes what a listener throws, or what the promise it returns is rejected with. */
  constructor(failed: (error: unknown, event: keyof Events) => void) {
    this.#failed = failed;
  }

  /** Returns what takes the listener away. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): () => void {
    const set = this.#sets[event] ?? new Set();
    this.#sets[event] = set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  /** Whether anybody was told. */
  tell<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean {
    const told = [...(this.#sets[event] ?? [])];
    for (const listener of told) this.#call(event, () => listener(...args));
    return told.length > 0;
  }

  #call(event: keyof Events, listener: () => unknown): void {
    const failed = (error: unknown) => this.#failed(error, event);
    try {
      // An async listener rejects later than this returns.
      Promise.resolve(listener()).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
