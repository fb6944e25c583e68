import type { RoomPath } from "../../wire/path.js";

/** The number of remembered leaves. Past it, those for the node that was lost first are forgotten. */
const leavesMax = 10_000;

/**
 * The leaves that this node reported in place of lost nodes. A lost node that returns still has the users, and must
 * report their joins again.
 */
export class ReportedLeaves {
  readonly #nodes = new Map<string, Map<RoomPath, Set<string>>>();
  #count = 0;

  add(node: string, path: RoomPath, key: string): void {
    const rooms = this.#nodes.get(node) ?? new Map<RoomPath, Set<string>>();
    this.#nodes.set(node, rooms);
    rooms.set(path, (rooms.get(path) ?? new Set()).add(key));
    this.#count += 1;
    for (const oldest of this.#nodes.keys()) {
      if (this.#count <= leavesMax) return;
      this.#forget(oldest);
    }
  }

  /** Removes and returns the users of a room whose leaves were reported in place of `node`. */
  take(node: string, path: RoomPath): readonly string[] {
    const rooms = this.#nodes.get(node);
    const keys = [...(rooms?.get(path) ?? [])];
    this.#count -= keys.length;
    rooms?.delete(path);
    if (rooms?.size === 0) this.#nodes.delete(node);
    return keys;
  }

  #forget(node: string): void {
    for (const keys of this.#nodes.get(node)?.values() ?? []) this.#count -= keys.size;
    this.#nodes.delete(node);
  }
}
