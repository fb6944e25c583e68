/**
 * The frames that were sent to a connection in this tick, as a node of a tree: the last frame, and as its parent the
 * frames before it.
 *
 * Sending a frame moves a connection to a child of its node. A node remembers its last child. So the members of a room
 * that were sent the same frames are at the same node, and the bytes of these frames are joined once for all of them.
 */
export class FrameSequence {
  #lastChild: FrameSequence | undefined;
  #bytes: Uint8Array | undefined;

  constructor(
    readonly parent: FrameSequence | undefined,
    readonly frame: Uint8Array,
    readonly sizeBytes: number,
  ) {}

  append(frame: Uint8Array): FrameSequence {
    const last = this.#lastChild;
    if (last !== undefined && last.frame === frame) return last;
    const next = new FrameSequence(this, frame, this.sizeBytes + frame.length);
    this.#lastChild = next;
    return next;
  }

  /** Frees the tree below this node, except for nodes that are in use. */
  forgetChildren(): void {
    this.#lastChild = undefined;
  }

  /** All frames up to this one, in order. A single frame is not copied. */
  bytes(): Uint8Array {
    this.#bytes ??= this.sizeBytes === this.frame.length ? this.frame : this.#join();
    return this.#bytes;
  }

  /** As {@link bytes}, in a buffer of their own: a small part of a larger buffer would keep all of it in memory. */
  ownBytes(): Uint8Array {
    const bytes = this.bytes();
    if (bytes.buffer.byteLength <= 2 * bytes.length) return bytes;
    this.#bytes = this.#join(Buffer.allocUnsafeSlow(this.sizeBytes));
    return this.#bytes;
  }

  #join(joined: Uint8Array = Buffer.allocUnsafe(this.sizeBytes)): Uint8Array {
    for (let node: FrameSequence | undefined = this; node !== undefined; node = node.parent) {
      joined.set(node.frame, node.sizeBytes - node.frame.length);
    }
    return joined;
  }
}
