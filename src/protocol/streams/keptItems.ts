interface KeptItem {
  readonly json: string;
  readonly bytes: number;
}

/** The items of a stream that the client has not acknowledged, as JSON. */
export class KeptItems {
  readonly #items: KeptItem[] = [];
  #bytes = 0;
  /** The number of the first item that is kept. */
  #first = 0;

  get first(): number {
    return this.#first;
  }

  /** The number of the next item. */
  get next(): number {
    return this.#first + this.#items.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the bytes of the item. */
  add(json: string): number {
    const bytes = Buffer.byteLength(json);
    this.#items.push({ json, bytes });
    this.#bytes += bytes;
    return bytes;
  }

  /** The item with this number, which is kept. */
  at(seq: number): string {
    return this.#items[seq - this.#first]?.json ?? "null";
  }

  /** Forgets the items before `seq`. Returns their bytes. */
  forgetBefore(seq: number): number {
    let forgotten = 0;
    for (const { bytes } of this.#items.splice(0, Math.max(0, seq - this.#first))) {
      forgotten += bytes;
      this.#first += 1;
    }
    this.#bytes -= forgotten;
    return forgotten;
  }
}
