import type { Clock } from "../connection/clock.js";
import { TokenBucket } from "../connection/rate/tokenBucket.js";
import { escaped } from "../wire/line.js";

/** The number of warnings of one kind that can be logged at once; afterwards one per `refillMs`. */
const warningsMax = 100;
const refillMs = 60_000;
/** The number of subjects of one kind that are known to be logged; above it, the oldest is forgotten. */
const subjectsMax = 1_000;
/** The number of characters of a quoted text. */
const quotedMax = 200;

/** The warnings of one kind. */
interface Kind {
  readonly subjects: Set<string>;
  readonly quota: TokenBucket;
  /** The number of warnings that were not logged since the last one that was. */
  suppressed: number;
}

/** Logs problems that would otherwise go unnoticed. Each warning is logged once for its kind and subject. */
export class Warnings {
  readonly #warn: (message: string) => void;
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();

  constructor(warn: (message: string) => void, clock: Clock) {
    this.#warn = warn;
    this.#clock = clock;
  }

  /**
   * Logs `message`, unless a warning of this kind and subject was logged. A client may vary the subject: so a kind has
   * a quota, and a warning past it is only counted, until the quota has refilled.
   *
   * @param subject May come from a client.
   */
  once(kind: string, subject: string, message: () => string): void {
    const now = this.#clock.now();
    const known = this.#kinds.get(kind) ?? newKind(now);
    this.#kinds.set(kind, known);
    const { subjects, quota, suppressed } = known;
    if (subjects.has(subject)) return;
    if (quota.take(now) > 0) {
      known.suppressed += 1;
      return;
    }
    subjects.add(subject);
    if (subjects.size > subjectsMax) for (const oldest of [...subjects].slice(0, 1)) subjects.delete(oldest);
    known.suppressed = 0;
    this.#warn(`enfilade: ${message()}${noteOf(suppressed, quota.isEmpty)}`);
  }
}

function noteOf(suppressed: number, isLast: boolean): string {
  if (suppressed > 0) return `; ${suppressed} other warnings of this kind were not logged`;
  return isLast ? "; of further warnings of this kind, one per minute is logged" : "";
}

function newKind(now: number): Kind {
  return { subjects: new Set(), quota: new TokenBucket(warningsMax, warningsMax * refillMs, now), suppressed: 0 };
}

/** Quotes a text of a client for the log: of bounded length, and without control characters for a terminal. */
export function quoted(text: string): string {
  return escaped(text.length > quotedMax ? `${text.slice(0, quotedMax)}…` : text);
}
