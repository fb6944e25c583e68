import type { Consumer } from "@nats-io/jetstream";
import type { EngineHistoryPage } from "../cluster/engine.js";

/** Milliseconds to fetch messages. A message that is removed meanwhile never arrives. */
const fetchMs = 1_000;

export interface Reading {
  /** The name of the stream. */
  readonly name: string;
  readonly count: number;
  readonly bytesMax: number;
  /** Whether a message with this subject belongs to the stream as it was described before. */
  readonly isFresh: (subject: string) => boolean;
}

/** Reads messages of a stream; `undefined` if it was replaced. */
export async function fetchEntries(
  consumer: Consumer,
  { name, count, bytesMax, isFresh }: Reading,
): Promise<EngineHistoryPage["entries"] | undefined> {
  const messages = await consumer.fetch({ max_messages: count, expires: fetchMs });
  const entries: { offset: number; bytes: Uint8Array }[] = [];
  let bytes = 0;
  for await (const { seq, subject, data, info } of messages) {
    bytes += data.length;
    if (entries.length === 0 && !isFresh(subject)) return undefined;
    if (bytes > bytesMax && entries.length > 0) return entries;
    entries.push({ offset: seq, bytes: data });
    // Messages that were removed meanwhile do not arrive.
    if (info.pending === 0 || entries.length === count) return entries;
  }
  // On a slow connection, a page may end before its time is over.
  if (entries.length > 0 && Number.isFinite(bytesMax)) return entries;
  throw new Error(`the stream ${name} delivered only ${entries.length} of ${count} publications`);
}
