import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { ClaimedFrame, ClaimWindow } from "../backplane/claims.js";
import type { EngineClaim, EngineClaims } from "../cluster/claims/engineClaims.js";
import { stackless } from "./stackless.js";
import { nanosPerMs } from "./streamLimits.js";
import { hasNoResponders, type RoomStreamsDeps } from "./streams.js";
import { tokenOf } from "./subjects.js";

export interface NatsClaimsDeps extends Pick<RoomStreamsDeps, "prefix" | "storage" | "replicas" | "loss"> {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  /** Whether the server says that it has JetStream. */
  readonly hasJetStream: boolean;
}

type StreamAge = Pick<StreamConfig, "max_age" | "duplicate_window">;

/** The last message of a frame's subject. */
interface Entry {
  readonly sequence: number;
  readonly text: string;
}

/** Bytes of all claims. Above: the oldest are forgotten. A server reserves them; one with less space gets the next. */
const claimsBytesMax: readonly number[] = [256, 64, 16].map((megabytes) => megabytes * 1024 * 1024);
/** The number of claims whose sequence is cached. */
const sequencesMax = 10_000;
/** The maximum number of attempts to store an entry that changes meanwhile. */
const attemptsMax = 5;
/** The minimum that the server accepts. */
const duplicateMs = 100;
/** Error codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const wrongLastSequence = 10_071;
const streamNotFound = 10_059;
const notEnabled: readonly number[] = [10_039, 10_076];
/** The name is taken, or there is too little space. */
const addRefusals: readonly number[] = [10_058, 10_023, 10_028, 10_047];

/**
 * The claims of clients' frames, over one connection: a stream whose subjects have one message each, the entry of a
 * frame: `>` and the owner, or `=` and the reply.
 */
export class NatsClaims implements EngineClaims {
  readonly #deps: NatsClaimsDeps;
  /** Resolves with `false` if the server has no JetStream. */
  #created: Promise<boolean> | undefined;
  /** The sequence of each claim that is not settled, by subject. */
  readonly #sequences = new Map<string, number>();

  constructor(deps: NatsClaimsDeps) {
    this.#deps = deps;
  }

  async claim(frame: ClaimedFrame, owner: string): Promise<EngineClaim> {
    const subject = this.#subject(frame);
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      if (!(await this.#whenCreated(frame.window))) return { state: "unsupported" };
      const sequence = await this.#publish(subject, `>${owner}`, 0);
      if (sequence !== undefined) {
        this.#cache(subject, sequence);
        return { state: "claimed", owner };
      }
      const entry = await this.#read(subject);
      if (entry !== undefined) return claimOf(entry);
    }
    throw new Error(`a claim changed ${attemptsMax} times while it was read`);
  }

  async settle(frame: ClaimedFrame, owner: string, reply = ""): Promise<void> {
    const subject = this.#subject(frame);
    if (!(await this.#whenCreated(frame.window))) return;
    const cached = this.#sequences.get(subject);
    this.#sequences.delete(subject);
    if (cached !== undefined && (await this.#publish(subject, `=${reply}`, cached)) !== undefined) return;
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const entry = await this.#read(subject);
      if (entry !== undefined && entry.text !== `>${owner}`) return;
      if ((await this.#publish(subject, `=${reply}`, entry?.sequence ?? 0)) !== undefined) return;
    }
  }

  async release(frame: Pick<ClaimedFrame, "client" | "id">, owner: string): Promise<void> {
    const { loss, manager } = this.#deps;
    const subject = this.#subject(frame);
    this.#sequences.delete(subject);
    const entry = await this.#read(subject);
    if (entry?.text !== `>${owner}`) return;
    await loss.unlessLost(manager.streams.deleteMessage(this.#name, entry.sequence, false));
  }

  get #name(): string {
    return `${this.#deps.prefix}-claims`;
  }

  #subject({ client, id }: Pick<ClaimedFrame, "client" | "id">): string {
    return `${this.#deps.prefix}.claims.${client}.${tokenOf(id)}`;
  }

  #cache(subject: string, sequence: number): void {
    this.#sequences.set(subject, sequence);
    const [oldest] = this.#sequences.keys();
    if (this.#sequences.size > sequencesMax && oldest !== undefined) this.#sequences.delete(oldest);
  }

  /**
   * Stores an entry if the last one of the subject has this sequence; 0 means none. Resolves with the sequence of the
   * new entry, or `undefined` if the last one has another.
   */
  async #publish(subject: string, text: string, last: number): Promise<number | undefined> {
    const { client, loss } = this.#deps;
    const options = { retries: 0, expect: { lastSubjectSequence: last } };
    try {
      return (await loss.unlessLost(stackless(() => client.publish(subject, text, options)))).seq;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === wrongLastSequence) return undefined;
      // The stream was deleted: the next call creates it again.
      if (hasNoResponders(error)) this.#created = undefined;
      throw error;
    }
  }

  /** Asks the leader of the stream, since a replica may not have the last entry yet. */
  async #read(subject: string): Promise<Entry | undefined> {
    const { loss, manager } = this.#deps;
    const stored = await loss.unlessLost(manager.streams.getMessage(this.#name, { last_by_subj: subject }));
    return stored === null ? undefined : { sequence: stored.seq, text: stored.string() };
  }

  #whenCreated(window: ClaimWindow): Promise<boolean> {
    if (this.#created !== undefined) return this.#created;
    const creating = this.#create(window);
    this.#created = creating;
    creating.catch(() => {
      if (this.#created === creating) this.#created = undefined;
    });
    return creating;
  }

  async #create({ receiptsMs }: ClaimWindow): Promise<boolean> {
    const age = {
      max_age: Math.max(receiptsMs, duplicateMs) * nanosPerMs,
      duplicate_window: duplicateMs * nanosPerMs,
    };
    try {
      await this.#deps.loss.unlessLost(this.#addOrAdopt(age));
      return true;
    } catch (error) {
      const isMissing = hasNoResponders(error) && !this.#deps.hasJetStream;
      if (isMissing || isOneOf(notEnabled, error)) return false;
      throw error;
    }
  }

  async #addOrAdopt(age: StreamAge): Promise<void> {
    if (await this.#adopt(age)) return;
    let refusal: unknown;
    for (const bytesMax of claimsBytesMax) {
      try {
        await this.#add(age, bytesMax);
        return;
      } catch (error) {
        if (!isOneOf(addRefusals, error)) throw error;
        refusal = error;
      }
    }
    // Another node may have created it meanwhile, and taken the space.
    if (!(await this.#adopt(age))) throw refusal;
  }

  async #add(age: StreamAge, bytesMax: number): Promise<void> {
    const { prefix, storage, replicas, manager } = this.#deps;
    await manager.streams.add({
      ...age,
      name: this.#name,
      subjects: [`${prefix}.claims.>`],
      max_msgs_per_subject: 1,
      max_bytes: bytesMax,
      num_replicas: replicas,
      storage: storage === "file" ? StorageType.File : StorageType.Memory,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
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
      if (isOneOf([streamNotFound], error)) return false;
      throw error;
    }
  }
}

function isOneOf(codes: readonly number[], error: unknown): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.code);
}

function claimOf({ text }: Entry): EngineClaim {
  const content = text.slice(1);
  if (text.startsWith(">")) return { state: "claimed", owner: content };
  return { state: "answered", reply: content || undefined };
}
