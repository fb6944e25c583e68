/** The items of a stream that the client has not acknowledged, as JSON. */
export class KeptItems {
  #items: string[] = [];
  #bytes = 0;
  /** The number of the first item that is kept. */
  first = 0;

  /** The number of the next item. */
  get next(): number {
    return this.first + this.#items.length;
  }

  get count(): number {
    return this.#items.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(json: string): void {
    this.#items.push(json);
    this.#bytes += Buffer.byteLength(json);
  }

  /** The item with this number, which is kept. */
  at(seq: number): string {
    return this.#items[seq - this.first] ?? "null";
  }

  /** Forgets the items before `seq`. */
  forgetBefore(seq: number): void {
    const forgotten = this.#items.splice(0, Math.max(0, seq - this.first));
    for (const json of forgotten) this.#bytes -= Buffer.byteLength(json);
    this.first += forgotten.length;
  }
}
