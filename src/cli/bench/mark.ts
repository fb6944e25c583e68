/** Which message this is. */
export interface Mark {
  /** The number of the connection that sent it. */
  readonly sender: number;
  /** Its place among the messages of this sender, from 0. */
  readonly number: number;
  /** Its place in the schedule of all connections, from 0. */
  readonly scheduled: number;
}

/** Makes the messages of one run and finds them again, also inside of what a handler makes of them. */
export class Marks {
  readonly #prefix: string;
  readonly #pattern: RegExp;

  /** @param run Letters and digits that no other run has. */
  constructor(run: string) {
    this.#prefix = `~ef.${run}`;
    this.#pattern = new RegExp(`~ef\\.${run}\\.(\\d{1,4})\\.(\\d{1,9})\\.(\\d{1,9})~`);
  }

  /** A JSON string of this many bytes. A handler of texts can send it back, too. */
  text({ sender, number, scheduled }: Mark, bytes: number): string {
    const mark = `${this.#prefix}.${sender}.${number}.${scheduled}~`;
    return `"${mark.padEnd(bytes - 2, ".")}"`;
  }

  /** The mark in a received message; `undefined` if it is not of this run. */
  find(text: string): Mark | undefined {
    const [, sender, number, scheduled] = this.#pattern.exec(text) ?? [];
    if (sender === undefined) return undefined;
    return { sender: Number(sender), number: Number(number), scheduled: Number(scheduled) };
  }
}
