import { type Linked, LinkedList } from "./linkedList.js";
import type { MemoryHistory } from "./memoryHistory.js";

/** A room with history, and its place in {@link MemoryLevels}. */
export interface LeveledRoom<Room> extends Linked<Room> {
  readonly history: MemoryHistory;
  /** The level that the room is in; `undefined` while it holds nothing. Set by `MemoryLevels` only. */
  level: number | undefined;
  /** The bytes it is counted with. Set by `MemoryLevels` only. */
  countedBytes: number;
}

interface Level<Room extends LeveledRoom<Room>> {
  /** In the order of their last publications. */
  readonly rooms: LinkedList<Room>;
  bytes: number;
}

/** The part of all bytes that a level may take before its rooms are the first to lose their history. */
const levelShare = 1 / 16;

/**
 * The rooms with history by the number of publications that they keep: 1, 2 to 3, 4 to 7, and so on.
 *
 * When memory is short, rooms with few publications lose their history first. So a flood of rooms with one message each
 * costs no other rooms their history, however new the flood is, and however quiet they are.
 */
export class MemoryLevels<Room extends LeveledRoom<Room>> {
  readonly #levels: Level<Room>[] = [];
  #bytes = 0;
  #size = 0;

  /** The bytes of all rooms. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of rooms that hold anything. */
  get size(): number {
    return this.#size;
  }

  /** Called after a publication: the room is now the last of its level to lose its history. */
  promote(room: Room): void {
    this.#remove(room);
    const { history } = room;
    if (history.isEmpty) return;
    const index = 31 - Math.clz32(Math.max(1, history.size));
    const level = this.#level(index);
    level.rooms.add(room);
    room.level = index;
    this.#size += 1;
    this.#count(room, level, history.bytes);
  }

  /** Called when the room holds less than before. */
  update(room: Room): void {
    const { history, level: index } = room;
    if (index === undefined) return;
    if (history.isEmpty) this.#remove(room);
    else this.#count(room, this.#level(index), history.bytes);
  }

  /**
   * The room that is the next to lose its history: the one quiet for longest in the lowest level that takes more than
   * its share. `undefined` if there is none.
   *
   * @param canLose Whether a room may lose its history.
   */
  next(canLose: (room: Room) => boolean): Room | undefined {
    const share = this.#bytes * levelShare;
    let first: Room | undefined;
    for (const { rooms, bytes } of this.#levels) {
      if (first !== undefined && bytes <= share) continue;
      let room = rooms.first;
      while (room !== undefined && !canLose(room)) room = room.next;
      if (room !== undefined && bytes > share) return room;
      first ??= room;
    }
    return first;
  }

  #level(index: number): Level<Room> {
    while (this.#levels.length <= index) this.#levels.push({ rooms: new LinkedList(), bytes: 0 });
    // The loop has added it.
    return this.#levels[index] as Level<Room>;
  }

  #count(room: Room, level: Level<Room>, bytes: number): void {
    level.bytes += bytes - room.countedBytes;
    this.#bytes += bytes - room.countedBytes;
    room.countedBytes = bytes;
  }

  #remove(room: Room): void {
    if (room.level === undefined) return;
    const level = this.#level(room.level);
    level.rooms.remove(room);
    this.#count(room, level, 0);
    this.#size -= 1;
    room.level = undefined;
  }
}
