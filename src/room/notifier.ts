import { EventEmitter } from "node:events";

/** Events told to listeners of which none can harm another, or whoever tells them. */
export class Notifier<Events extends Record<keyof Events, readonly unknown[]>> {
  readonly #emitter = new EventEmitter();
  readonly #failed: (error: unknown) => void;
  /** What a listener caused is told after what it was told of. */
  readonly #waiting: (() => void)[] = [];
  #telling = false;

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
    this.#waiting.push(() => this.#call(event, args));
    if (!this.#telling) this.#tellWaiting();
  }

  /** Has what `cause` tells told together: nothing that a listener causes comes between. */
  together(cause: () => void): void {
    const isFirst = !this.#telling;
    this.#telling = true;
    cause();
    if (isFirst) this.#tellWaiting();
  }

  #tellWaiting(): void {
    this.#telling = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    this.#telling = false;
  }

  #call(event: string, args: readonly unknown[]): void {
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
