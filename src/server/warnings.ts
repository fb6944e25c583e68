/** Warnings of one kind. */
const subjectsMax = 100;
const quotedMax = 200;

/** Warnings about what would otherwise fail without a word: each is logged once for its kind and subject. */
export class Warnings {
  readonly #warn: (message: string) => void;
  readonly #subjects = new Map<string, Set<string>>();

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /**
   * Logs `message` unless that was done for this kind and subject, or often enough for this kind.
   *
   * @param subject Often what a client sent: one who varies it must not fill the log.
   */
  once(kind: string, subject: string, message: () => string): void {
    const subjects = this.#subjects.get(kind) ?? new Set();
    this.#subjects.set(kind, subjects);
    if (subjects.has(subject) || subjects.size >= subjectsMax) return;
    subjects.add(subject);
    const end = subjects.size === subjectsMax ? "; further warnings of this kind are not logged" : "";
    this.#warn(`enfilade: ${message()}${end}`);
  }
}

/** A text that came from a client, as the log may show it: of bounded length, and nothing that a terminal obeys. */
export function quoted(text: string): string {
  const shown = text.length > quotedMax ? `${text.slice(0, quotedMax)}…` : text;
  return JSON.stringify(shown).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
