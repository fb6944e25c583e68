import type { RoomPath } from "../../wire/path.js";
import type { Position } from "../../wire/position.js";

/** The number of rooms whose positions are kept. */
const roomsMax = 10_000;
/** The number of epochs that are kept for a room. */
const epochsMax = 8;

/** The last positions of rooms that this node has received, or that the engine has acknowledged to it. */
export class SeenPositions {
  /** The last position of each epoch, the newest epoch last. The room used longest ago comes first. */
  readonly #rooms = new Map<RoomPath, readonly Position[]>();

  note(path: RoomPath, position: Position): void {
    const positions = withPosition(this.of(path), position);
    this.#rooms.delete(path);
    this.#rooms.set(path, positions.slice(-epochsMax));
    const [oldest] = this.#rooms.keys();
    if (this.#rooms.size > roomsMax && oldest !== undefined) this.#rooms.delete(oldest);
  }

  /** The last position of each epoch of a room, in the order of the epochs. */
  of(path: RoomPath): readonly Position[] {
    return this.#rooms.get(path) ?? [];
  }
}

/** Adds a position, or replaces that of the same epoch if it is older. */
export function withPosition(positions: readonly Position[], position: Position): readonly Position[] {
  const known = positions.find(({ epoch }) => epoch === position.epoch);
  if (known === undefined) return [...positions, position];
  return known.offset >= position.offset ? positions : positions.map((one) => (one === known ? position : one));
}
