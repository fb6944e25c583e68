import type { ClaimedFrame, ClaimWindow } from "../backplane/claims.js";
import type { EngineClaim, EngineClaims } from "../cluster/claims/engineClaims.js";
import { hasNoResponders, isApiError } from "./apiErrors.js";
import { type Entry, EntryStream, type EntryStreamDeps } from "./entryStream.js";
import { tokenOf } from "./subjects.js";

export interface NatsClaimsDeps extends Omit<EntryStreamDeps, "kind" | "bytesMax"> {
  /** Whether the server says that it has JetStream. */
  readonly hasJetStream: boolean;
}

/** Bytes of all claims. */
const claimsBytesMax: readonly number[] = [256, 64, 16].map((megabytes) => megabytes * 1024 * 1024);
/** The number of claims whose sequence is cached. */
const sequencesMax = 10_000;
/** The maximum number of attempts to store an entry that changes meanwhile. */
const attemptsMax = 5;

/**
 * The claims of clients' frames, over one connection: a stream whose subjects have one message each, the entry of a
 * frame: `>` and the owner, or `=` and the reply.
 */
export class NatsClaims implements EngineClaims {
  readonly #entries: EntryStream;
  readonly #hasJetStream: boolean;
  #isUnsupported = false;
  /** The sequence of each claim that is not settled, by subject. */
  readonly #sequences = new Map<string, number>();

  constructor({ hasJetStream, ...deps }: NatsClaimsDeps) {
    this.#hasJetStream = hasJetStream;
    this.#entries = new EntryStream({ ...deps, kind: "claims", bytesMax: claimsBytesMax });
  }

  async claim(frame: ClaimedFrame, owner: string): Promise<EngineClaim> {
    const subject = this.#subject(frame);
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      if (!(await this.#isCreated(frame.window))) return { state: "unsupported" };
      const sequence = await this.#entries.store(subject, `>${owner}`, 0);
      if (sequence !== undefined) {
        this.#cache(subject, sequence);
        return { state: "claimed", owner };
      }
      const entry = await this.#entries.read(subject);
      if (entry !== undefined) return claimOf(entry);
    }
    throw new Error(`a claim changed ${attemptsMax} times while it was read`);
  }

  async settle(frame: ClaimedFrame, owner: string, reply = ""): Promise<void> {
    const subject = this.#subject(frame);
    if (!(await this.#isCreated(frame.window))) return;
    const cached = this.#sequences.get(subject);
    this.#sequences.delete(subject);
    if (cached !== undefined && (await this.#entries.store(subject, `=${reply}`, cached)) !== undefined) return;
    for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
      const entry = await this.#entries.read(subject);
      if (entry !== undefined && entry.text !== `>${owner}`) return;
      if ((await this.#entries.store(subject, `=${reply}`, entry?.sequence ?? 0)) !== undefined) return;
    }
  }

  async release(frame: Pick<ClaimedFrame, "client" | "id">, owner: string): Promise<void> {
    const subject = this.#subject(frame);
    this.#sequences.delete(subject);
    const entry = await this.#entries.read(subject);
    if (entry?.text !== `>${owner}`) return;
    await this.#entries.remove(entry.sequence);
  }

  #subject({ client, id }: Pick<ClaimedFrame, "client" | "id">): string {
    return this.#entries.subjectOf(`${client}.${tokenOf(id)}`);
  }

  #cache(subject: string, sequence: number): void {
    this.#sequences.set(subject, sequence);
    const [oldest] = this.#sequences.keys();
    if (this.#sequences.size > sequencesMax && oldest !== undefined) this.#sequences.delete(oldest);
  }

  /** Returns false if the server has no JetStream. */
  async #isCreated({ receiptsMs }: ClaimWindow): Promise<boolean> {
    if (this.#isUnsupported) return false;
    try {
      await this.#entries.create(receiptsMs);
    } catch (error) {
      const isMissing = hasNoResponders(error) && !this.#hasJetStream;
      this.#isUnsupported = isMissing || isApiError(error, "notEnabled", "notEnabledForAccount");
      if (!this.#isUnsupported) throw error;
    }
    return !this.#isUnsupported;
  }
}

function claimOf({ text }: Entry): EngineClaim {
  const content = text.slice(1);
  if (text.startsWith(">")) return { state: "claimed", owner: content };
  return { state: "answered", reply: content || undefined };
}
