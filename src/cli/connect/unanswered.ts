/**
 * Counts the lines that are not sent, or not answered. The client sends a line with an id, again after a reconnect,
 * until there is a reply; its frames are observed on the socket.
 */
export class Unanswered {
  #count = 0;
  /** The ids of frames that were sent. */
  readonly #sent = new Set<unknown>();
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  get count(): number {
    return this.#count;
  }

  /** A line was passed on. */
  add(): void {
    this.#count += 1;
  }

  /** Lines need no answer any more. */
  settle(count: number): void {
    this.#count -= count;
    this.#wake();
  }

  onSent(frame: string): void {
    const { type, id } = parse(frame);
    if (id !== undefined && (type === "message" || type === "event")) this.#sent.add(id);
  }

  onReceived(frame: string): void {
    const { type, id } = parse(frame);
    // A line that was sent twice may be answered twice.
    if (type === "reply" && this.#sent.delete(id)) this.settle(1);
  }

  whenAtMost(count: number): Promise<void> {
    if (this.#count <= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  #wake(): void {
    const all = this.#waiting;
    this.#waiting = all.filter(({ count }) => this.#count > count);
    for (const { count, resolve } of all) if (this.#count <= count) resolve();
  }
}

interface Frame {
  readonly type?: unknown;
  readonly id?: unknown;
}

/** The members of a frame; none if it is not JSON, which the client reports. */
function parse(frame: string): Frame {
  try {
    return Object(JSON.parse(frame));
  } catch {
    return {};
  }
}
