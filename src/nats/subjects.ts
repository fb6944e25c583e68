import { createHash } from "node:crypto";

/** Longer names are hashed: a subject must fit in one line of the NATS protocol. */
const nameBytesMax = 96;
/** Subjects that are cached. */
const subjectsMax = 1_000;

/** The NATS subjects of channels. */
export class Subjects {
  readonly #prefix: string;
  readonly #known = new Map<string, string>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The subject of messages that are in no history. */
  plain(channel: string): string {
    return `${this.of(channel)}.plain`;
  }

  /** The subjects of all messages to a channel. */
  all(channel: string): string {
    return `${this.of(channel)}.*`;
  }

  /** The start of all subjects of a channel. */
  of(channel: string): string {
    const known = this.#known.get(channel);
    if (known !== undefined) return known;
    // Busy channels are soon cached again.
    if (this.#known.size >= subjectsMax) this.#known.clear();
    const subject = `${this.#prefix}.${tokenOf(channel)}`;
    this.#known.set(channel, subject);
    return subject;
  }
}

/** Encodes any text as a token of a subject or a stream name. */
export function tokenOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= nameBytesMax) return bytes.toString("base64url");
  return createHash("sha256").update(bytes).digest("base64url");
}
