import { asError } from "../../errors.js";

/** Handshakes and sessions that have not ended. */
export class PendingWork {
  readonly #report: (error: Error) => void;
  #count = 0;
  #resolveIdle: (() => void) | undefined;

  /** @param report Receives the errors of work that rejects. */
  constructor(report: (error: Error) => void) {
    this.#report = report;
  }

  /** Counts `work` until it has settled, and returns it. */
  add(work: Promise<void>): Promise<void> {
    this.begin();
    work.then(this.end, this.#onFailed);
    return work;
  }

  /** Counts work until {@link end} is called for it. */
  begin(): void {
    this.#count += 1;
  }

  readonly end = (): void => {
    this.#count -= 1;
    if (this.#count === 0) this.#resolveIdle?.();
  };

  /** Resolves when all work has settled. */
  async whenIdle(): Promise<void> {
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#resolveIdle = resolve;
    });
  }

  readonly #onFailed = (error: unknown): void => {
    this.#report(asError(error));
    this.end();
  };
}
