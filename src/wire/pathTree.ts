import type { RoomPath } from "./path.js";

class Node<T> {
  value: T | undefined;
  readonly children = new Map<string, Node<T>>();
}

/** Values by room path. Finding the values below a path takes time only for that part of the tree. */
export class PathTree<T> {
  readonly #root = new Node<T>();

  set(path: RoomPath, value: T): void {
    let node = this.#root;
    for (const segment of segmentsOf(path)) {
      const next = node.children.get(segment) ?? new Node<T>();
      node.children.set(segment, next);
      node = next;
    }
    node.value = value;
  }

  delete(path: RoomPath): void {
    const segments = segmentsOf(path);
    const nodes = this.#walk(segments);
    const last = nodes[segments.length];
    if (last === undefined) return;
    last.value = undefined;
    for (let depth = segments.length; depth > 0; depth -= 1) {
      const node = nodes[depth];
      const name = segments[depth - 1];
      if (node === undefined || name === undefined || node.value !== undefined || node.children.size > 0) return;
      nodes[depth - 1]?.children.delete(name);
    }
  }

  /** The values of `path` itself and of everything below it. */
  below(path: RoomPath): T[] {
    const segments = segmentsOf(path);
    const start = this.#walk(segments)[segments.length];
    const found: T[] = [];
    const waiting = start === undefined ? [] : [start];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (node.value !== undefined) found.push(node.value);
      for (const child of node.children.values()) waiting.push(child);
    }
    return found;
  }

  /** The existing nodes along the path, from the root on. */
  #walk(segments: readonly string[]): Node<T>[] {
    const nodes = [this.#root];
    for (const segment of segments) {
      const next = nodes.at(-1)?.children.get(segment);
      if (next === undefined) break;
      nodes.push(next);
    }
    return nodes;
  }
}

function segmentsOf(path: RoomPath): string[] {
  return path === "/" ? [] : path.slice(1).split("/");
}
