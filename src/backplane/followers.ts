import type { Timer } from "../connection/clock.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Archive } from "./archive.js";
import type { BackplaneSetting, Delivery, HistoryTerms, Kept, KeptQuery, Receiver } from "./backplane.js";
import type { Engine, KeptRoom } from "./engine.js";
import { Follower } from "./follower.js";
import type { Link } from "./link.js";
import type { Outgoing } from "./outgoing.js";

/** Publications that are read at once. */
const readMax = 1_000;
/** Rooms that are compared at once. */
const compareMax = 200;

interface Followed extends KeptRoom {
  readonly follower: Follower;
}

export interface FollowersParts {
  readonly engine: Pick<Engine, "top">;
  readonly link: Link;
  readonly archive: Archive;
  readonly outgoing: Outgoing;
  readonly receiver: Receiver;
  readonly setting: BackplaneSetting;
  readonly inTime: <T>(answer: Promise<T>) => Promise<T>;
}

/** The rooms with history that this node has opened, each followed from publication to publication. */
export class Followers {
  readonly #parts: FollowersParts;
  readonly #rooms = new Map<RoomPath, Followed>();
  readonly #failing = new Set<RoomPath>();
  #checking: Timer | undefined;
  #healed = 0;
  #lagged = 0;

  constructor(parts: FollowersParts) {
    this.#parts = parts;
    this.#checkLater();
  }

  get counts(): { readonly healed: number; readonly lagged: number } {
    return { healed: this.#healed, lagged: this.#lagged };
  }

  /** To be called when a room is opened; {@link begin} when it is heard. */
  open(path: RoomPath, history: HistoryTerms): void {
    this.#rooms.set(path, { path, history, follower: this.#follower({ path, history }) });
  }

  /** Resolves when it is known where a room stands that is heard now. */
  async begin(path: RoomPath): Promise<void> {
    const room = this.#rooms.get(path);
    if (room !== undefined) await this.#compare([room]);
  }

  close(path: RoomPath): void {
    this.#rooms.get(path)?.follower.end();
    this.#rooms.delete(path);
    this.#failing.delete(path);
  }

  /** Does what comes behind all that was published to a room before; whether that one is followed. */
  behind(path: RoomPath, act: () => void): boolean {
    const room = this.#rooms.get(path);
    room?.follower.behind(act);
    return room !== undefined;
  }

  /** Takes what was published to a room; whether that one is followed. */
  take(path: RoomPath, delivery: Delivery): boolean {
    const room = this.#rooms.get(path);
    room?.follower.take(delivery);
    return room !== undefined;
  }

  async since(room: KeptRoom, query: KeptQuery): Promise<Kept> {
    const follower = this.#rooms.get(room.path)?.follower;
    const kept = await this.#parts.archive.read(room, query, follower?.last);
    // Whoever gets this first must not get it once more from what the room has yet to come to.
    await follower?.reached(kept.top);
    return kept;
  }

  /** Compares all rooms with what the engine has: those that missed something get it. */
  async compareAll(): Promise<void> {
    await this.#compare([...this.#rooms.values()]);
  }

  /** What anybody waits for cannot be had now. */
  giveUp(error: unknown): void {
    for (const { follower } of this.#rooms.values()) follower.giveUp(error);
  }

  end(): void {
    this.#checking?.cancel();
    for (const path of [...this.#rooms.keys()]) this.close(path);
  }

  #follower(room: KeptRoom): Follower {
    const { archive, link, receiver, setting } = this.#parts;
    const { clock, limits } = setting;
    return new Follower({
      clock,
      read: (since) => archive.read(room, { since, limit: readMax }, undefined),
      deliver: (delivery) => receiver.deliver(room.path, delivery),
      lagged: (loss) => {
        this.#lagged += 1;
        receiver.lagged(room.path, loss);
      },
      healed: () => {
        this.#healed += 1;
      },
      failed: (error) => {
        if (link.isUp) this.#fail(room.path, asError(error));
      },
      ...{ messagesMax: limits.subscriberMessagesMax, bytesMax: limits.outboxBytesMax },
    });
  }

  async #compare(rooms: readonly Followed[]): Promise<void> {
    for (let index = 0; index < rooms.length && this.#parts.link.isUp; index += compareMax) {
      await Promise.all(rooms.slice(index, index + compareMax).map((room) => this.#compareOne(room)));
    }
  }

  /** A room that the engine says no of is no trouble for any other; it is told of once, until it is well again. */
  async #compareOne(room: Followed): Promise<void> {
    const { engine, inTime, link, outgoing } = this.#parts;
    const { life } = link;
    try {
      const top = await inTime(engine.top(room));
      this.#failing.delete(room.path);
      if (room.follower.last === undefined) room.follower.begin(top);
      else room.follower.compare(top);
    } catch (error) {
      const fault = outgoing.fault(`what is kept of ${room.path} cannot be looked at`, asError(error));
      if (link.isUp && link.life === life) this.#fail(room.path, fault);
    }
  }

  #fail(path: RoomPath, error: Error): void {
    if (this.#failing.has(path)) return;
    this.#failing.add(path);
    this.#parts.receiver.report(error);
  }

  /** Quiet rooms too may have missed something. */
  #checkLater(): void {
    const { clock, random, limits } = this.#parts.setting;
    const ms = limits.roomCheckMs * (0.5 + random());
    this.#checking = clock.setTimeout(() => {
      this.#checkLater();
      this.compareAll().catch((error) => this.#parts.receiver.report(asError(error)));
    }, ms);
  }
}
