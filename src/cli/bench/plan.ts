import { type Input, UsageError } from "../command.js";
import type { Headers } from "../socket.js";
import { type Bounds, countOf, headersOf, numberOf, roomURL } from "../values.js";

/** What is measured. */
export interface Plan {
  /** The URL of each connection, by its number. */
  readonly urls: readonly string[];
  readonly headers: Headers;
  /** Messages per second, of all connections together. */
  readonly perSecond: number;
  readonly durationMs: number;
  /** The bytes of one message, without the frame around it. */
  readonly messageBytes: number;
  /** The name of the event that the messages are; `undefined` for messages that are JSON strings. */
  readonly event: string | undefined;
  /** Milliseconds without an arrival, after which missing messages are lost. */
  readonly waitMs: number;
}

const bounds = {
  connections: { min: 1, max: 5_000, otherwise: 10 },
  rate: { min: 0.1, max: 100_000, otherwise: 100 },
  duration: { min: 0.1, max: 3_600, otherwise: 10 },
  size: { min: 48, max: 16_777_216, otherwise: 64 },
  wait: { min: 0, max: 60, otherwise: 5 },
} as const satisfies Record<string, Bounds>;

/** The options of `enfilade bench`, with their bounds. */
export const planOptions = {
  connections: { value: "N", summary: `WebSockets (default ${rangeOf(bounds.connections)})` },
  rate: { value: "N", summary: `messages per second, of all connections together (default ${rangeOf(bounds.rate)})` },
  duration: { value: "SECONDS", summary: `how long messages are sent (default ${rangeOf(bounds.duration)})` },
  size: { value: "BYTES", summary: `bytes of a message (default ${rangeOf(bounds.size)})` },
  event: { value: "NAME", summary: "send events of this name, for an EventHandler" },
  header: { value: '"NAME: VALUE"', summary: "a header of the handshakes; may be given several times" },
  wait: {
    value: "SECONDS",
    summary: `how long to wait for missing messages while none arrives (default ${rangeOf(bounds.wait)})`,
  },
};

function rangeOf({ min, max, otherwise }: Bounds): string {
  return `${otherwise}; ${min} to ${max}`;
}

/** @throws UsageError when an option is wrong. */
export function planOf(input: Input): Plan {
  const pattern = input.args[0] ?? "";
  const connections = countOf(input, "connections", bounds.connections);
  const urls = Array.from({ length: connections }, (_, n) => roomURL(pattern.replaceAll("{n}", String(n))).href);
  const messageBytes = countOf(input, "size", bounds.size);
  const perSecond = numberOf(input, "rate", bounds.rate);
  const durationMs = 1_000 * numberOf(input, "duration", bounds.duration);
  if ((perSecond * durationMs) / 1_000 < 1) throw new UsageError("--rate times --duration is less than one message");
  const waitMs = 1_000 * numberOf(input, "wait", bounds.wait);
  return { urls, headers: headersOf(input), perSecond, durationMs, messageBytes, event: input.text("event"), waitMs };
}
