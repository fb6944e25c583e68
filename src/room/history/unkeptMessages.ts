import type { Delivery } from "../../backplane/delivery.js";

interface UnkeptMessage {
  readonly delivery: Delivery;
  /** The offset of the last publication before it; `undefined` if that was not known yet. */
  after: number | undefined;
}

/** Messages to a room that its history does not keep, while their reader reads the history. */
export class UnkeptMessages {
  /** In the order of their arrival. The key is that of the policy `latest`, or a number. */
  readonly #messages = new Map<string | number, UnkeptMessage>();
  #nextNumber = 0;
  #bytes = 0;
  #skipped = 0;
  #isSkipExpected = true;
  /** The offset of the newest publication; a message that arrives now comes after it. */
  newestOffset: number | undefined;

  get size(): number {
    return this.#messages.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many were dropped or replaced since {@link forgetSkipped}. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Whether the policies of the skipped messages allow it. */
  get isSkipExpected(): boolean {
    return this.#isSkipExpected;
  }

  /** @param offset That of the newest publication, if none has arrived. Messages so far come after it. */
  begin(offset: number): void {
    this.newestOffset ??= offset;
    for (const message of this.#messages.values()) message.after ??= offset;
  }

  /** @param isLagging Whether the reader lags, so that the policy of the message applies. */
  add(delivery: Delivery, isLagging: boolean): void {
    const { policy } = delivery;
    this.#bytes += delivery.payload.data.length;
    if (isLagging && policy?.kind === "skip") {
      this.#count(delivery);
      return;
    }
    const key = isLagging && policy?.kind === "latest" ? policy.key : this.#nextNumber;
    this.#nextNumber += 1;
    this.#remove(key);
    this.#messages.set(key, { delivery, after: this.newestOffset });
  }

  /** Takes the next message that came right after the publication with this offset, or before it. */
  take(offset: number): Delivery | undefined {
    const [first] = this.#messages;
    if (first === undefined) return undefined;
    const [key, { delivery, after = Number.POSITIVE_INFINITY }] = first;
    if (after > offset) return undefined;
    this.#messages.delete(key);
    this.#bytes -= delivery.payload.data.length;
    return delivery;
  }

  /** Drops the oldest message. */
  drop(): void {
    const [key] = this.#messages.keys();
    if (key !== undefined) this.#remove(key);
  }

  forgetSkipped(): void {
    this.#skipped = 0;
    this.#isSkipExpected = true;
  }

  clear(): void {
    this.#messages.clear();
    this.#bytes = 0;
  }

  #remove(key: string | number): void {
    const message = this.#messages.get(key);
    this.#messages.delete(key);
    if (message !== undefined) this.#count(message.delivery);
  }

  #count({ payload, policy }: Delivery): void {
    this.#bytes -= payload.data.length;
    this.#skipped += 1;
    this.#isSkipExpected &&= policy !== undefined && policy.kind !== "reliable";
  }
}
