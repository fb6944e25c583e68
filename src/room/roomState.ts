import type { RoomPath } from "../wire/path.js";
import { Audience } from "./audience.js";
import type { Presence } from "./presence/presence.js";
import type { RoomConfig } from "./roomConfig.js";

/** A room that exists: who is in it, and what is kept of it as long as somebody is. */
export class RoomState extends Audience {
  #state: Map<string, unknown> | undefined;

  /** @param presence `undefined` where presence is off. */
  constructor(
    readonly path: RoomPath,
    readonly config: RoomConfig,
    readonly presence: Presence | undefined,
  ) {
    super(path);
  }

  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }
}
