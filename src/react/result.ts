import type { ClientState, StateDetail } from "../client/connection/reconnector.js";
import type { ClientRoom } from "../client/room.js";

/** The state of {@link useRoom}: that of the room, or `"idle"` without a URL. */
export type UseRoomState = ClientState | "idle";

/** The result of {@link useRoom}. It is the same object until its state changes. */
export interface UseRoomResult<Client = unknown, Server = unknown> {
  /**
   * The room; `undefined` without a URL, on a server, and until the component is mounted. The other hooks take it as it
   * is.
   */
  readonly room: ClientRoom<Client, Server> | undefined;
  /** The state of the connection; `"connecting"` on a server, and until the component is mounted. */
  readonly state: UseRoomState;
  /** Details of the last change of the state, such as `status`: 401 after the server has refused the credentials. */
  readonly detail: StateDetail;
  /** Connects again after the room was closed for good, for all components that share it. Else does nothing. */
  readonly reconnect: () => void;
}

const reconnect = (): void => undefined;
/** Without a URL. */
export const idle: UseRoomResult = { room: undefined, state: "idle", detail: {}, reconnect };
/** Until the effects of a component have run: always so on a server. */
export const connecting: UseRoomResult = { room: undefined, state: "connecting", detail: {}, reconnect };
