import type { Backplane, Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { baseOf, isRoom, isTree, patternOf, type Topic, type TreeTopic } from "../../backplane/topic.js";
import type { RoomPath } from "../../wire/path.js";
import type { DeliveryListener } from "../audience.js";

/** The listeners of this node to trees of rooms; the rooms need not exist. */
export class TreeListeners {
  readonly #backplane: Backplane;
  /** By the topmost room of the tree. */
  readonly #trees = new Map<string, Set<DeliveryListener>>();

  constructor(backplane: Backplane) {
    this.#backplane = backplane;
  }

  /** Adds a listener. For the first one of a tree, opens the tree on the backplane. */
  listen(tree: TreeTopic, listener: DeliveryListener): void {
    const known = this.#trees.get(baseOf(tree));
    if (known === undefined) this.#backplane.open(tree);
    this.#trees.set(baseOf(tree), (known ?? new Set()).add(listener));
  }

  /** Removes a listener. After the last one of a tree, closes the tree on the backplane. */
  unlisten(tree: TreeTopic, listener: DeliveryListener): void {
    const listeners = this.#trees.get(baseOf(tree));
    if (listeners?.delete(listener) !== true || listeners.size > 0) return;
    this.#trees.delete(baseOf(tree));
    this.#backplane.close(tree);
  }

  /** Passes on publications to rooms and trees; ignores those to users, channels and all. */
  deliver(topic: Topic, delivery: Delivery): void {
    if (this.#trees.size === 0) return;
    const isOfTree = isTree(topic);
    if (!isOfTree && !isRoom(topic)) return;
    delivery.address = isOfTree ? patternOf(topic) : topic;
    const listeners = isOfTree ? this.#overlapping(baseOf(topic)) : this.#containing(topic);
    for (const listener of [...listeners]) listener.take(delivery);
  }

  /** Reports lost publications of a room. */
  reportGap(path: RoomPath, { missed }: Gap): void {
    for (const listener of [...this.#containing(path)]) listener.onLoss(missed);
  }

  /** Ends all listeners. */
  endAll(): void {
    for (const listeners of [...this.#trees.values()]) for (const listener of [...listeners]) listener.end();
  }

  /** The listeners to trees that contain a room. */
  *#containing(path: RoomPath): Generator<DeliveryListener> {
    for (let base: string | undefined = path; base !== undefined; base = parentOf(base)) {
      yield* this.#trees.get(base) ?? [];
    }
  }

  /** The listeners to trees that overlap a tree: one of the two contains the other. */
  *#overlapping(base: RoomPath): Generator<DeliveryListener> {
    for (const [own, listeners] of this.#trees) {
      if (contains(own, base) || contains(base, own)) yield* listeners;
    }
  }
}

function parentOf(path: string): string | undefined {
  if (path === "/") return undefined;
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function contains(base: string, path: string): boolean {
  return base === "/" || path === base || path.startsWith(`${base}/`);
}
