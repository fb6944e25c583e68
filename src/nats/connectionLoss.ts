/** The loss of one connection, which ends everything that still waits for its answers. */
export class ConnectionLoss {
  /** Rejects each answer that is waited for. A promise that all race against would keep each of them in memory. */
  readonly #waiting = new Set<(reason: Error) => void>();
  #reason: Error | undefined;

  /** Settles as `answer`, or rejects when the connection is lost first. */
  unlessLost<T>(answer: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#reason === undefined) this.#waiting.add(reject);
      else reject(this.#reason);
      const settle = <Result>(settled: (result: Result) => void) => {
        return (result: Result) => {
          this.#waiting.delete(reject);
          settled(result);
        };
      };
      answer.then(settle(resolve), settle(reject));
    });
  }

  /** The connection is lost. Only the first reason counts. */
  onLost(reason: Error): void {
    this.#reason ??= reason;
    for (const reject of this.#waiting) reject(this.#reason);
    this.#waiting.clear();
  }
}
