const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function formatNumber(value: number): string {
  return numbers.format(value);
}

/** A short form for the axis of a chart, such as `12.5K`. */
export function formatShort(value: number): string {
  return compact.format(value);
}

export function formatBytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${numbers.format(value / 1024 ** power)} ${units[power]}`;
}

/** `1 room`, `2 rooms`. */
export function formatCount(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatNumber(count)} ${count === 1 ? noun : plural}`;
}

/** The two largest units of a duration, such as `3 h 12 min`. */
export function formatSeconds(value: number): string {
  const seconds = Math.max(0, Math.floor(value));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first === -1 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** The time of the day, with milliseconds. */
export function formatClock(at: number): string {
  const date = new Date(at);
  const pad = (value: number, length = 2) => String(value).padStart(length, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((value) => pad(value)).join(":");
  return `${clock}.${pad(date.getMilliseconds(), 3)}`;
}

/** Day and time in the time zone of the reader. */
export function formatDate(at: number): string {
  const date = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19).replace("T", " ");
}

/**
 * Text of a client in a form without invisible characters, which could hide or reorder a part of it. The joiners of
 * emojis and scripts stay, and so do line ends if `hasLines` is set.
 */
export function visible(text: string, hasLines = false): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === "\u200c" || character === "\u200d") return character;
    if (hasLines && (character === "\n" || character === "\t")) return character;
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}
