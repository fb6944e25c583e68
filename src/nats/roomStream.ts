import { createHash } from "node:crypto";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { EngineTop } from "../cluster/engine.js";
import type { RoomPath } from "../wire/path.js";
import { type Epoch, epochId, epochTime, type Position } from "../wire/position.js";

/** The stream of a room, as one answer of the server describes it. */
export interface RoomStream {
  readonly info: StreamInfo;
  readonly notes: StreamNotes;
  /** The subject of the current epoch. */
  readonly subject: string;
}

/** What the description of a stream says. */
export interface StreamNotes {
  /** When the room was last open, in milliseconds since 1970. */
  readonly usedMs: number;
  /** Identifies one run of the server, from its start to its end; `undefined` if it keeps everything over a restart. */
  readonly life: string | undefined;
  /** The epochs of the room, the oldest first; never empty. */
  readonly epochs: readonly Epoch[];
}

/** The number of epochs that are kept. */
const epochsMax = 16;
/** The number of bytes of a description. */
const descriptionBytesMax = 4_000;

/** Reads a stream. A stream that was made by hand has one epoch: the last part of its subject. */
export function streamOf(info: StreamInfo): RoomStream {
  const [subject = ""] = info.config.subjects;
  return { info, subject, notes: notesOf(info.config, subject) };
}

/** The end of a stream, and its epochs. */
export function topOf({ info, notes, subject }: RoomStream): EngineTop {
  return { top: { epoch: epochOf(subject), offset: info.state.last_seq }, epochs: notes.epochs };
}

/** The first sequence number to read, and how many. */
export function rangeOf({ info }: RoomStream, after: number | undefined, limit: number): readonly [number, number] {
  const { first_seq: first, last_seq: last, messages } = info.state;
  const start = Math.max(first, 1, after === undefined ? last - limit + 1 : after + 1);
  return [start, messages === 0 ? 0 : Math.max(0, Math.min(limit, last - start + 1))];
}

/** The last part of a subject. */
export function epochOf(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}

/** A stream with other notes. Each epoch has its own subject. */
export function withNotes({ info, subject }: RoomStream, notes: StreamNotes): RoomStream {
  const start = subject.slice(0, subject.lastIndexOf(".") + 1);
  return { info, notes, subject: start + (notes.epochs.at(-1)?.epoch ?? "") };
}

/**
 * A stream after a new epoch began. All nodes that notice the same reason make the same id, so that it does not matter
 * which of them is first.
 */
export function withEpoch(stream: RoomStream, base: number, life = stream.notes.life): RoomStream {
  const { subject, notes } = stream;
  const hash = createHash("sha256")
    .update(`${epochOf(subject)} ${base} ${life}`)
    .digest("base64url");
  const epoch = epochId(timeOf(stream, life), hash.slice(0, 8));
  return withNotes(stream, {
    ...notes,
    life,
    epochs: [...notes.epochs, { epoch, base, lost: undefined }].slice(-epochsMax),
  });
}

/** The time of a new epoch, the same on all nodes: that of the last message, or of the epoch before. */
function timeOf({ info, subject, notes }: RoomStream, life: string | undefined): number {
  const before = epochTime(epochOf(subject)) ?? 0;
  const isRestart = life !== notes.life && info.state.last_seq > 0;
  return isRestart ? Math.max(before, Date.parse(info.state.last_ts)) : before;
}

/**
 * Whether a stream has messages from before its creation: a server that could not read the settings of a stream after a
 * crash has forgotten it, and a new one of this name takes over its messages.
 */
export function hasOldMessages({ info, notes }: RoomStream): boolean {
  const { messages, first_ts: firstAt } = info.state;
  return messages > 0 && notes.epochs.length === 1 && Date.parse(firstAt) < Date.parse(info.created);
}

/** A stream with the epochs of old messages. The server counts the messages of each subject; they are in order. */
export function withOldEpochs(stream: RoomStream, subjects: Readonly<Record<string, number>>): RoomStream {
  const { info, notes } = stream;
  const known = new Set(notes.epochs.map(({ epoch }) => epoch));
  const old = Object.entries(subjects)
    .map(([subject, count]) => ({ epoch: epochOf(subject), count }))
    .filter(({ epoch }) => !known.has(epoch))
    .sort((one, other) => (epochTime(one.epoch) ?? 0) - (epochTime(other.epoch) ?? 0));
  let base = info.state.first_seq - 1;
  const epochs: Epoch[] = [];
  for (const { epoch, count } of old) {
    epochs.push({ epoch, base, lost: undefined });
    base += count;
  }
  const all = [...epochs, ...notes.epochs.map((one) => ({ ...one, base }))];
  return withNotes(stream, { ...notes, epochs: all.slice(-epochsMax) });
}

/** A stream whose number of lost publications is known. The first number that is noted for an epoch stays. */
export function withLost(stream: RoomStream, epoch: string, lost: number): RoomStream {
  const { notes } = stream;
  const isOpen = notes.epochs.some((one) => one.epoch === epoch && one.lost === undefined);
  if (!isOpen) return stream;
  return withNotes(stream, {
    ...notes,
    epochs: notes.epochs.map((one) => (one.epoch === epoch ? { ...one, lost } : one)),
  });
}

/** Whether a node has seen more of an epoch than the stream has: the server has lost its last publications. */
export function isBelow({ info, subject }: RoomStream, seen: Position | undefined): boolean {
  return seen !== undefined && seen.epoch === epochOf(subject) && seen.offset > info.state.last_seq;
}

/** The notes as a description. The path is for people who look at the streams. */
export function descriptionOf(path: RoomPath, { usedMs, life, epochs }: StreamNotes): string {
  const fields = {
    used: new Date(usedMs).toISOString(),
    life,
    epochs: epochs.map(({ epoch, base, lost = null }) => [epoch, base, lost]),
  };
  const whole = JSON.stringify({ path, ...fields });
  return Buffer.byteLength(whole) <= descriptionBytesMax ? whole : JSON.stringify(fields);
}

function notesOf({ description = "" }: Pick<StreamConfig, "description">, subject: string): StreamNotes {
  const { used, life, epochs } = parsed(description);
  const list = Array.isArray(epochs) ? epochs.flatMap(epochFrom) : [];
  return {
    usedMs: Date.parse(String(used)) || 0,
    life: typeof life === "string" ? life : undefined,
    epochs: list.length > 0 ? list : [{ epoch: epochOf(subject), base: 0, lost: undefined }],
  };
}

function epochFrom(value: unknown): readonly Epoch[] {
  if (!Array.isArray(value)) return [];
  const [epoch, base, lost]: readonly unknown[] = value;
  if (typeof epoch !== "string" || typeof base !== "number") return [];
  return [{ epoch, base, lost: typeof lost === "number" ? lost : undefined }];
}

function parsed(description: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(description);
    // The type is safe: every field is `unknown`.
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
