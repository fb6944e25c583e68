/** The number of warnings of one kind. */
const subjectsMax = 100;
/** The number of characters of a quoted text. */
const quotedMax = 200;

/** Logs problems that would otherwise go unnoticed. Each warning is logged once for its kind and subject. */
export class Warnings {
  readonly #warn: (message: string) => void;
  readonly #subjects = new Map<string, Set<string>>();

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /**
   * Logs `message`, unless a warning of this kind and subject was logged, or `subjectsMax` warnings of this kind.
   *
   * @param subject May come from a client. The maximum keeps a client that varies it from filling the log.
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

/** Quotes a text of a client for the log: of bounded length, and without control characters for a terminal. */
export function quoted(text: string): string {
  const shown = text.length > quotedMax ? `${text.slice(0, quotedMax)}…` : text;
  return JSON.stringify(shown).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
