import { FirstRows, type KeyedRow } from "../lists/firstRows.js";

/** Later moments have lower keys, so that the newest record comes first. */
const latest = 9_999_999_999_999;

/** The last records of one node. */
export class Ring<Row extends { readonly at: number }> {
  readonly #node: string;
  readonly #max: number;
  readonly #records: KeyedRow<Row>[] = [];
  /** The index of the next record. */
  #next = 0;
  #count = 0;

  constructor(node: string, max: number) {
    this.#node = node;
    this.#max = max;
  }

  add(row: Row): void {
    this.#count += 1;
    // Of several records of one millisecond, the newest comes first too.
    const key = `${String(latest - row.at).padStart(13, "0")}-${String(latest - this.#count)}-${this.#node}`;
    this.#records[this.#next] = [key, row];
    this.#next = (this.#next + 1) % this.#max;
  }

  /** The newest records after the cursor. */
  list(after: string | undefined, rowsMax: number): KeyedRow<Row>[] {
    const first = new FirstRows<Row>(rowsMax, after);
    for (const [key, row] of this.#records) first.set(key, row);
    return first.rows;
  }
}
