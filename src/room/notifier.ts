import { EventEmitter } from "node:events";

/** Events told to listeners of which none can harm another, or whoever tells them. */
export class Notifier<Events extends Record<keyof Events, readonly unknown[]>> {
  readonly #emitter = new EventEmitter();
  readonly #failed: (error: unknown) => void;

  /** @param failed Takes what a listener throws, or what the promise it returns is rejected with. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  on<Name extends keyof Events & string>(event: Name, listener: (...args: Events[Name]) => unknown): void {
    this.#emitter.on(event, listener as (...args: readonly unknown[]) => void);
  }

  off<Name extends keyof Events & string>(event: Name, listener: (...args: Events[Name]) => unknown): void {
    this.#emitter.off(event, listener as (...args: readonly unknown[]) => void);
  }

  has(event: keyof Events & string): boolean {
    return this.#emitter.listenerCount(event) > 0;
  }

  tell<Name extends keyof Events & string>(event: Name, ...args: Events[Name]): void {
    for (const listener of this.#emitter.listeners(event)) {
      try {
        // An async listener rejects later than this returns.
        Promise.resolve(listener(...args)).catch(this.#failed);
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}
