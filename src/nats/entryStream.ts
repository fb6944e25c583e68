import type { JetStreamClient, JetStreamManager, StreamConfig } from "@nats-io/jetstream";
import { hasNoResponders, isApiError } from "./apiErrors.js";
import type { ConnectionLoss } from "./connectionLoss.js";
import { stackless } from "./stackless.js";
import { keepingOf, nanosPerMs } from "./streamLimits.js";

export interface EntryStreamDeps {
  /** The start of every subject and stream name. */
  readonly prefix: string;
  /** What the entries are, as a part of the name and of the subjects. */
  readonly kind: "claims" | "locks";
  /** The bytes of all entries. Above: the oldest are removed. A server reserves them; one with less gets the next. */
  readonly bytesMax: readonly number[];
  readonly storage: "file" | "memory";
  readonly replicas: number;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly loss: ConnectionLoss;
}

/** The last message of a subject. */
export interface Entry {
  readonly sequence: number;
  readonly text: string;
}

type StreamAge = Pick<StreamConfig, "max_age" | "duplicate_window">;

/** The minimum that the server accepts. */
const duplicateMs = 100;

/** A stream whose subjects have one message each: an entry that is stored only in place of a certain other one. */
export class EntryStream {
  readonly #deps: EntryStreamDeps;
  #created: Promise<void> | undefined;

  constructor(deps: EntryStreamDeps) {
    this.#deps = deps;
  }

  /** @param tokens The end of the subject, after the prefix and the kind. */
  subjectOf(tokens: string): string {
    const { prefix, kind } = this.#deps;
    return `${prefix}.${kind}.${tokens}`;
  }

  /** Creates the stream, or uses the one that exists. An entry is removed after `ageMs`. */
  create(ageMs: number): Promise<void> {
    if (this.#created !== undefined) return this.#created;
    const creating = this.#deps.loss.unlessLost(this.#addOrAdopt(ageOf(ageMs)));
    this.#created = creating;
    creating.catch(() => {
      if (this.#created === creating) this.#created = undefined;
    });
    return creating;
  }

  /**
   * Stores an entry if the last one of the subject has this sequence; 0 means none. Resolves with the sequence of the
   * new entry, or `undefined` if the last one has another.
   */
  async store(subject: string, text: string, last: number): Promise<number | undefined> {
    const { client, loss } = this.#deps;
    const options = { retries: 0, expect: { lastSubjectSequence: last } };
    try {
      return (await loss.unlessLost(stackless(() => client.publish(subject, text, options)))).seq;
    } catch (error) {
      if (isApiError(error, "wrongLastSequence")) return undefined;
      // The stream was deleted: the next call of create() creates it again.
      if (hasNoResponders(error)) this.#created = undefined;
      throw error;
    }
  }

  /** Asks the leader of the stream, since a replica may not have the last entry yet. */
  async read(subject: string): Promise<Entry | undefined> {
    const { loss, manager } = this.#deps;
    const stored = await loss.unlessLost(manager.streams.getMessage(this.#name, { last_by_subj: subject }));
    return stored === null ? undefined : { sequence: stored.seq, text: stored.string() };
  }

  async remove(sequence: number): Promise<void> {
    const { loss, manager } = this.#deps;
    await loss.unlessLost(manager.streams.deleteMessage(this.#name, sequence, false));
  }

  get #name(): string {
    return `${this.#deps.prefix}-${this.#deps.kind}`;
  }

  async #addOrAdopt(age: StreamAge): Promise<void> {
    if (await this.#adopt(age)) return;
    let refusal: unknown;
    for (const bytesMax of this.#deps.bytesMax) {
      try {
        await this.#add(age, bytesMax);
        return;
      } catch (error) {
        const hasTooLittle = isApiError(error, "tooLittleMemory", "tooLittleResources", "tooLittleStorage");
        // A server that two nodes ask at the same time finds the name of the stream free, and then its subjects taken.
        if (!hasTooLittle && !isApiError(error, "nameTaken", "subjectsTaken")) throw error;
        refusal = error;
      }
    }
    // Another node may have created it meanwhile, and taken the space.
    if (!(await this.#adopt(age))) throw refusal;
  }

  async #add(age: StreamAge, bytesMax: number): Promise<void> {
    const { storage, replicas, manager } = this.#deps;
    await manager.streams.add({
      ...age,
      ...keepingOf(storage, replicas),
      name: this.#name,
      subjects: [this.subjectOf(">")],
      max_msgs_per_subject: 1,
      max_bytes: bytesMax,
    });
  }

  /** Uses a stream that exists already, and updates the age if it differs. Returns `false` if there is none. */
  async #adopt(age: StreamAge): Promise<boolean> {
    const { manager } = this.#deps;
    try {
      const { config } = await manager.streams.info(this.#name);
      if (config.max_age !== age.max_age) await manager.streams.update(this.#name, { ...config, ...age });
      return true;
    } catch (error) {
      if (isApiError(error, "streamNotFound")) return false;
      throw error;
    }
  }
}

function ageOf(ageMs: number): StreamAge {
  return { max_age: Math.max(ageMs, duplicateMs) * nanosPerMs, duplicate_window: duplicateMs * nanosPerMs };
}
