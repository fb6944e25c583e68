import { type Clock, timeIsUp, within } from "../connection/clock.js";
import type { Member } from "../protocol/dialect.js";
import { Payload } from "../wire/payload.js";

/** What a writer needs of its room. */
export interface WriterDeps {
  readonly clock: Clock;
  readonly publish: (payload: Payload) => Promise<unknown>;
  readonly members: () => readonly Member[];
}

/** Chunks after which the loop is let free for others. */
const turnChunks = 16;
/** How long a member may hold up the others, in milliseconds. */
const patienceMs = 1_000;

/**
 * A stream into a room: each string becomes a text message, each chunk of bytes a binary one, or with `text` a piece of
 * one UTF-8 text.
 */
export function roomWriter(deps: WriterDeps, text: boolean): WritableStream<string | Uint8Array> {
  const decoder = new TextDecoder();
  const pace = new Pace(deps);
  const write = async (payload: Payload) => {
    await deps.publish(payload);
    await pace.keep();
  };
  return new WritableStream({
    async write(chunk) {
      if (typeof chunk === "string") return write(Payload.text(chunk));
      const bytes = Payload.binary(chunk);
      if (!text || typeof bytes.data === "string") return write(bytes);
      // A chunk may end within a character: the rest of it comes with the next.
      const piece = decoder.decode(bytes.data, { stream: true });
      if (piece !== "") await write(Payload.text(piece));
    },
    async close() {
      const rest = decoder.decode();
      if (rest !== "") await write(Payload.text(rest));
    },
  });
}

/** No faster than those who read: a source that outruns them would have them closed for being slow. */
class Pace {
  readonly #deps: WriterDeps;
  /** Members that held up the others for too long; they are not waited for until they have caught up. */
  readonly #stalled = new WeakSet<Member>();
  #chunks = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  async keep(): Promise<void> {
    this.#chunks += 1;
    if (this.#chunks % turnChunks === 0) await new Promise((resolve) => setImmediate(resolve));
    const members = this.#deps.members();
    for (const member of members) if (!lags(member)) this.#stalled.delete(member);
    const lagging = members.filter(lags);
    const awaited = lagging.filter((member) => !this.#stalled.has(member));
    if (awaited.length > 0) await this.#waitFor(awaited);
    else if (lagging.length > 0 && lagging.length === members.length) await Promise.race(lagging.map(flushed));
  }

  async #waitFor(members: readonly Member[]): Promise<void> {
    const all = Promise.all(members.map(flushed));
    if ((await within(this.#deps.clock, patienceMs, all)) !== timeIsUp) return;
    for (const member of members) if (lags(member)) this.#stalled.add(member);
  }
}

function lags({ bufferedBytes, limits }: Member): boolean {
  return bufferedBytes >= limits.highWaterBytes;
}

function flushed(member: Member): Promise<void> {
  return member.flushed();
}
