/** The operations of {@link OutgoingLanes}. */
export interface OutgoingLanesDeps<Item> {
  /** Resolves when items may be sent to a channel; `undefined` if they may be sent now. */
  readonly whenReady: (channel: string) => Promise<void> | undefined;
  /** Sends an item. Resolves when it is answered; never rejects. */
  readonly send: (item: Item) => Promise<void>;
  /** False if an item must be answered before the next one of the same channel is sent. */
  readonly isPipelined: () => boolean;
}

/** Keeps the items to each channel in the order of the calls, also while the first of them has to wait. */
export class OutgoingLanes<Item> {
  readonly #deps: OutgoingLanesDeps<Item>;
  /** The waiting items, for each channel that has to wait. */
  readonly #lanes = new Map<string, Item[]>();

  constructor(deps: OutgoingLanesDeps<Item>) {
    this.#deps = deps;
  }

  /** Sends an item after all earlier ones of its channel. */
  add(channel: string, item: Item): void {
    const { whenReady, send, isPipelined } = this.#deps;
    const waiting = this.#lanes.get(channel);
    if (waiting !== undefined) {
      waiting.push(item);
      return;
    }
    const ready = whenReady(channel);
    if (ready === undefined && isPipelined()) {
      void send(item);
      return;
    }
    this.#lanes.set(channel, [item]);
    void this.#run(channel, ready);
  }

  /** Sends the items of a channel, until none is left. */
  async #run(channel: string, first: Promise<void> | undefined): Promise<void> {
    const { whenReady, send, isPipelined } = this.#deps;
    const waiting = this.#lanes.get(channel) ?? [];
    for (let ready = first; waiting.length > 0; ready = whenReady(channel)) {
      if (ready !== undefined) {
        await ready;
        continue;
      }
      const [item] = waiting.splice(0, 1);
      const sent = item !== undefined && send(item);
      if (!isPipelined()) await sent;
    }
    this.#lanes.delete(channel);
  }
}
