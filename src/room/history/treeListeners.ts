import type { Backplane, Gap } from "../../backplane/backplane.js";
import type { Delivery } from "../../backplane/delivery.js";
import { baseOf, isRoom, isTree, patternOf, type Topic, type TreeTopic } from "../../backplane/topic.js";
import type { RoomPath } from "../../wire/path.js";
import type { DeliveryListener } from "../audience.js";

/** Code of this node that listens to whole trees of rooms, whether these exist or not. */
export class TreeListeners {
  readonly #backplane: Backplane;
  /** By the topmost room of their tree. */
  readonly #trees = new Map<string, Set<DeliveryListener>>();

  constructor(backplane: Backplane) {
    this.#backplane = backplane;
  }

  listen(tree: TreeTopic, listener: DeliveryListener): void {
    const known = this.#trees.get(baseOf(tree));
    if (known === undefined) this.#backplane.open(tree);
    this.#trees.set(baseOf(tree), (known ?? new Set()).add(listener));
  }

  unlisten(tree: TreeTopic, listener: DeliveryListener): void {
    const listeners = this.#trees.get(baseOf(tree));
    if (listeners?.delete(listener) !== true || listeners.size > 0) return;
    this.#trees.delete(baseOf(tree));
    this.#backplane.close(tree);
  }

  /** What is published to a room or to a tree; anything else has no path. */
  deliver(topic: Topic, delivery: Delivery): void {
    if (this.#trees.size === 0) return;
    const isOfTree = isTree(topic);
    if (!isOfTree && !isRoom(topic)) return;
    delivery.address = isOfTree ? patternOf(topic) : topic;
    const listeners = isOfTree ? this.#sharing(baseOf(topic)) : this.#above(topic);
    for (const listener of [...listeners]) listener.take(delivery);
  }

  reportGap(path: RoomPath, { missed }: Gap): void {
    for (const listener of [...this.#above(path)]) listener.lose(missed);
  }

  endAll(): void {
    for (const listeners of [...this.#trees.values()]) for (const listener of [...listeners]) listener.end();
  }

  /** Those of the trees that a room is in. */
  *#above(path: RoomPath): Generator<DeliveryListener> {
    for (let base: string | undefined = path; base !== undefined; base = parentOf(base)) {
      yield* this.#trees.get(base) ?? [];
    }
  }

  /** Those of the trees that have rooms in common with this one: one of the two contains the other. */
  *#sharing(base: RoomPath): Generator<DeliveryListener> {
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
