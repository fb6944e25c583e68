import type { Backplane, Deliver, Publication, Topic } from "./backplane.js";

const done = Promise.resolve();

/** The backplane of a single node: what is published is delivered within the call, so the order of calls is kept. */
export class MemoryBackplane implements Backplane {
  readonly #opened = new Set<Topic>();
  #deliver: Deliver | undefined;

  start(deliver: Deliver): void {
    this.#deliver = deliver;
  }

  open(topic: Topic): void {
    this.#opened.add(topic);
  }

  close(topic: Topic): void {
    this.#opened.delete(topic);
  }

  publish(topic: Topic, publication: Publication): Promise<void> {
    if (this.#opened.has(topic)) this.#deliver?.(topic, publication);
    return done;
  }
}
