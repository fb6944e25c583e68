import type { GoneListener, TransportEvents } from "../../connection/transport.js";

/** An open WebSocket: reads frames, and sends control frames. */
export interface WebSocketLink {
  /** The subprotocol that was agreed on; `""` if there is none. */
  readonly protocol: string;
  /** Whether messages may be compressed. */
  readonly isDeflated: boolean;
  readonly isOpen: boolean;
  readonly unfinishedBytes: number | undefined;
  /** Starts to report to `events`, and at the end to `goneListener`. */
  listen(events: TransportEvents, goneListener: GoneListener | undefined): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  ignoreInput(): void;
  /** Ends the connection at once. */
  terminate(): void;
}
