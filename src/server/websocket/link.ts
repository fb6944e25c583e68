import type { GoneListener, TransportEvents } from "../../connection/transport.js";

/** An open WebSocket: reads frames, and sends control frames. */
export interface WebSocketLink {
  /** The subprotocol that was agreed on; `""` if there is none. */
  readonly protocol: string;
  /** Whether messages may be compressed. */
  readonly isDeflated: boolean;
  readonly isOpen: boolean;
  readonly unfinishedBytes: number | undefined;
  whenGone(listener: GoneListener): void;
  /** Starts to report to `events`. */
  listen(events: TransportEvents): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  ignoreInput(): void;
  /** Ends the connection at once. */
  terminate(): void;
}
