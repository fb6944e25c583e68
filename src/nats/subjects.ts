import { createHash } from "node:crypto";

/** Longer names are hashed: a subject must fit in a line of the protocol. */
const nameBytesMax = 96;
/** Subjects that are cached. */
const subjectsMax = 1_000;

/** Channels as subjects of NATS. */
export class Subjects {
  readonly #prefix: string;
  readonly #known = new Map<string, string>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  of(channel: string): string {
    const known = this.#known.get(channel);
    if (known !== undefined) return known;
    // Of many channels, only a few are busy, and those are cached again soon.
    if (this.#known.size >= subjectsMax) this.#known.clear();
    const subject = `${this.#prefix}.${tokenOf(channel)}`;
    this.#known.set(channel, subject);
    return subject;
  }
}

/** Encodes any text as a token of a subject or of a stream's name. */
export function tokenOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= nameBytesMax) return bytes.toString("base64url");
  return createHash("sha256").update(bytes).digest("base64url");
}
