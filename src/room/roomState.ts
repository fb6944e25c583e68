import type { RoomPath } from "../wire/path.js";
import { Audience } from "./audience.js";
import { Presence, type PresenceDeps } from "./presence/presence.js";
import type { RoomConfig } from "./roomConfig.js";

/** An open room of this node: its members, its presence and the application's state. */
export class RoomState extends Audience {
  /** `undefined` if presence is off. */
  readonly presence: Presence<RoomState> | undefined;
  #state: Map<string, unknown> | undefined;

  constructor(
    readonly path: RoomPath,
    readonly config: RoomConfig,
    presenceDeps: PresenceDeps<RoomState>,
  ) {
    super(path);
    this.presence = config.presence.mode === "off" ? undefined : new Presence<RoomState>(this, presenceDeps);
  }

  /** The data that the application keeps with the room; created on first use. */
  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }
}
