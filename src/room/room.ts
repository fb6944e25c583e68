import type { RoomPath } from "../wire/path.js";
import { Address, type Post } from "./address.js";

/**
 * Everyone who is at one path.
 *
 * A `Room` is a handle: it may be kept, and speaks of whoever is there at the time it is used.
 */
export class Room extends Address {
  constructor(
    readonly path: RoomPath,
    post: Post,
  ) {
    super(path, post);
  }
}
