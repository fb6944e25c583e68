/** Reads the events of an event stream (WHATWG HTML, 9.2.6), as far as the server of `enfilade.v1` writes them. */
export class EventBlocks {
  readonly #onEvent: (type: string, data: string) => void;
  #rest = "";

  constructor(onEvent: (type: string, data: string) => void) {
    this.#onEvent = onEvent;
  }

  /** Adds a part of the stream, and reports the events that it completes. */
  add(part: string): void {
    const blocks = (this.#rest + part).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) this.#read(block);
  }

  #read(block: string): void {
    let type = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) type = line.slice(7);
      else if (line.startsWith("data: ")) data.push(line.slice(6));
    }
    if (data.length > 0) this.#onEvent(type, data.join("\n"));
  }
}
