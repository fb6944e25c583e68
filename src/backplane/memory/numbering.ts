import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "../../connection/clock.js";
import type { RoomPath } from "../../wire/path.js";
import type { Position } from "../../wire/position.js";
import { type Linked, LinkedList } from "./linkedList.js";

/** Milliseconds that a closed room without history keeps its numbering: returning clients then find the same epoch. */
const numberingMs = 10 * 60_000;
/** Rooms whose paths have the same hash share the number of their first epoch. */
const hashes = 4_096;

interface LeftRoom extends Linked<LeftRoom> {
  readonly path: RoomPath;
  readonly top: Position;
  readonly at: number;
}

/**
 * The epochs of rooms, and the positions of closed rooms without history.
 *
 * A room without publications needs no entry: until another room with the same hash is forgotten, it begins with the
 * same epoch again. A room with publications never begins with an earlier epoch.
 */
export class MemoryNumbering {
  readonly #clock: Clock;
  readonly #prefix = randomBytes(6).toString("base64url");
  readonly #firstEpochs = new Uint32Array(hashes);
  /** Closed rooms without history. */
  readonly #left = new Map<RoomPath, LeftRoom>();
  /** The same rooms, the longest unused first. */
  readonly #order = new LinkedList<LeftRoom>();
  /** Fires when the room unused for longest may be forgotten. */
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The number of rooms whose positions are stored. */
  get size(): number {
    return this.#left.size;
  }

  /** The position of the last publication of a room that is not in use; offset 0 before the first. */
  top(path: RoomPath): Position {
    return this.#left.get(path)?.top ?? { epoch: this.#firstEpoch(path), offset: 0 };
  }

  /** The room is in use again. Returns its {@link top}. */
  take(path: RoomPath): Position {
    const top = this.top(path);
    this.#remove(path);
    return top;
  }

  /** The room is closed, and has no history. */
  leave(path: RoomPath, top: Position): void {
    if (top.offset === 0) return;
    const left: LeftRoom = { path, top, at: this.#clock.now(), previous: undefined, next: undefined };
    this.#left.set(path, left);
    this.#order.add(left);
    this.#timer ??= this.#forgetLater();
  }

  /** Forgets the room that is unused for longest. */
  forgetOldest(): void {
    const { first } = this.#order;
    if (first !== undefined) this.forget(first.path);
  }

  /** Forgets a room with publications. Its next epoch is another one. */
  forget(path: RoomPath): void {
    this.#remove(path);
    const hash = hashOf(path);
    this.#firstEpochs[hash] = (this.#firstEpochs[hash] ?? 0) + 1;
  }

  #remove(path: RoomPath): void {
    const left = this.#left.get(path);
    if (left === undefined) return;
    this.#left.delete(path);
    this.#order.remove(left);
  }

  #firstEpoch(path: RoomPath): string {
    return `${this.#prefix}-${(this.#firstEpochs[hashOf(path)] ?? 0).toString(36)}`;
  }

  #forgetLater(): Timer | undefined {
    const { first: oldest } = this.#order;
    if (oldest === undefined) return undefined;
    return this.#clock.setTimeout(() => this.#forgetOld(), oldest.at + numberingMs - this.#clock.now());
  }

  #forgetOld(): void {
    const end = this.#clock.now() - numberingMs;
    while ((this.#order.first?.at ?? Number.POSITIVE_INFINITY) <= end) this.forgetOldest();
    this.#timer = this.#forgetLater();
  }
}

/** FNV-1a, 32 bits. */
function hashOf(path: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < path.length; index += 1) {
    hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % hashes;
}
