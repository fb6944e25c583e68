import type { RoomPath } from "../../wire/path.js";
import type { Position } from "../../wire/position.js";

/** The number of rooms whose positions are kept. */
const roomsMax = 10_000;
/** The number of epochs that are kept for a room. */
const epochsMax = 4;

/** The last positions of rooms that this node has received, or that the engine has acknowledged to it. */
export class SeenPositions {
  /** The last position of each epoch, the newest epoch last. The room used longest ago comes first. */
  readonly #rooms = new Map<RoomPath, readonly Position[]>();

  note(path: RoomPath, position: Position): void {
    const known = this.#rooms.get(path) ?? [];
    const index = known.findIndex(({ epoch }) => epoch === position.epoch);
    const last = known[index];
    if (last !== undefined && last.offset >= position.offset) return;
    const others = last === undefined ? known : known.filter((one) => one !== last);
    this.#rooms.delete(path);
    this.#rooms.set(path, [...others, position].slice(-epochsMax));
    const [oldest] = this.#rooms.keys();
    if (this.#rooms.size > roomsMax && oldest !== undefined) this.#rooms.delete(oldest);
  }

  /** The last offset of an epoch; `undefined` if this node did not know the epoch. */
  offsetIn(path: RoomPath, epoch: string): number | undefined {
    return this.#rooms.get(path)?.find((one) => one.epoch === epoch)?.offset;
  }
}
