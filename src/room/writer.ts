import { type Clock, timeIsUp, within } from "../connection/clock.js";
import type { Member } from "../protocol/dialect.js";
import { Payload } from "../wire/payload.js";

/** The operations of a room that its writer needs. */
export interface WriterDeps {
  readonly clock: Clock;
  readonly publish: (payload: Payload) => Promise<unknown>;
  readonly members: () => readonly Member[];
}

/** Chunks to publish before the event loop may do other work. */
const chunksPerTurn = 16;
/** The longest time that the writer waits for slow members while others keep up. */
const slowMemberMs = 1_000;

/**
 * A stream into a room. A string becomes a text message. A chunk of bytes becomes a binary message, or with `isText` a
 * text message: the chunks are then parts of one UTF-8 text.
 */
export function roomWriter(deps: WriterDeps, isText: boolean): WritableStream<string | Uint8Array> {
  const decoder = new TextDecoder();
  const pace = new Pace(deps);
  const write = async (payload: Payload) => {
    await deps.publish(payload);
    await pace.wait();
  };
  return new WritableStream({
    async write(chunk) {
      if (typeof chunk === "string") return write(Payload.text(chunk));
      const bytes = Payload.binary(chunk);
      if (!isText || typeof bytes.data === "string") return write(bytes);
      // A chunk may end within a character; the decoder keeps the incomplete bytes for the next chunk.
      const piece = decoder.decode(bytes.data, { stream: true });
      if (piece !== "") await write(Payload.text(piece));
    },
    async close() {
      const rest = decoder.decode();
      if (rest !== "") await write(Payload.text(rest));
    },
  });
}

/** Slows the writer down to the speed of the members: else a fast source would get them closed with 4008. */
class Pace {
  readonly #deps: WriterDeps;
  /** Members that were too slow. The writer does not wait for them again until they have caught up. */
  readonly #stalled = new WeakSet<Member>();
  #chunks = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  async wait(): Promise<void> {
    this.#chunks += 1;
    if (this.#chunks % chunksPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    const members = this.#deps.members();
    for (const member of members) if (!lags(member)) this.#stalled.delete(member);
    const lagging = members.filter(lags);
    const awaited = lagging.filter((member) => !this.#stalled.has(member));
    if (awaited.length > 0) await this.#waitFor(awaited);
    else if (lagging.length > 0 && lagging.length === members.length) await Promise.race(lagging.map(flushed));
  }

  async #waitFor(members: readonly Member[]): Promise<void> {
    const all = Promise.all(members.map(flushed));
    if ((await within(this.#deps.clock, slowMemberMs, all)) !== timeIsUp) return;
    for (const member of members) if (lags(member)) this.#stalled.add(member);
  }
}

function lags({ bufferedBytes, limits }: Member): boolean {
  return bufferedBytes >= limits.highWaterBytes;
}

function flushed(member: Member): Promise<void> {
  return member.flushed();
}
