import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream";
import type { HistoryConfig } from "../backplane/backplane.js";

export const nanosPerMs = 1_000_000;
/** Milliseconds that the server recognises the id of a publication. */
const publicationIdMs = 120_000;
/** Ages above this, about a hundred years, have no limit. */
const ageMsForever = 3e12;

/** The limits of a room's history as those of its stream. */
export function limitsOf({ size, bytesMax, ageMsMax }: HistoryConfig) {
  return {
    max_msgs: wholeOf(size),
    max_bytes: wholeOf(bytesMax),
    max_age: nanosOf(ageMsMax),
    duplicate_window: nanosOf(Math.min(ageMsMax, publicationIdMs)),
  } satisfies Partial<StreamConfig>;
}

/** Where a stream keeps its messages, and that it drops the oldest of them past its limits. */
export function keepingOf(storage: "file" | "memory", replicas: number) {
  return {
    num_replicas: replicas,
    storage: storage === "file" ? StorageType.File : StorageType.Memory,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
  } satisfies Partial<StreamConfig>;
}

/** Whether a stream has the limits of a history. */
export function hasLimits(config: StreamConfig, history: HistoryConfig): boolean {
  const { max_msgs: messages, max_bytes: bytes, max_age: age, duplicate_window: window } = limitsOf(history);
  const isSame = config.max_msgs === messages && config.max_bytes === bytes && config.max_age === age;
  return isSame && config.duplicate_window === window;
}

/** A limit as an integer; -1 means no limit. */
function wholeOf(limit: number): number {
  return Number.isFinite(limit) ? Math.floor(limit) : -1;
}

/** Nanoseconds; 0 means no limit. The server accepts at least 100 ms and at most 64 bits. */
function nanosOf(ms: number): number {
  return ms > ageMsForever ? 0 : Math.round(Math.max(ms, 100)) * nanosPerMs;
}
