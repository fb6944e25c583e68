import type { RoomPath } from "../wire/path.js";
import { Audience } from "./audience.js";
import type { Presence } from "./presence/presence.js";
import type { RoomConfig } from "./roomConfig.js";

/** An open room of this node: its members, its presence and the application's state. */
export class RoomState extends Audience {
  #state: Map<string, unknown> | undefined;

  /** @param presence `undefined` if presence is off. */
  constructor(
    readonly path: RoomPath,
    readonly config: RoomConfig,
    readonly presence: Presence | undefined,
  ) {
    super(path);
  }

  /** The data that the application keeps with the room; created on first use. */
  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }
}
