import { createHash } from "node:crypto";

/** Names that are longer are hashed; a subject has to fit a line of the protocol. */
const nameBytesMax = 96;
/** Subjects that are held. */
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
    // Of many channels, only a few are busy.
    if (this.#known.size >= subjectsMax) this.#known.clear();
    const subject = `${this.#prefix}.${tokenOf(channel)}`;
    this.#known.set(channel, subject);
    return subject;
  }
}

/** Any text as a token of a subject, or of a stream's name. */
export function tokenOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= nameBytesMax) return bytes.toString("base64url");
  return createHash("sha256").update(bytes).digest("base64url");
}
