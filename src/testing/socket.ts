import { EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";

/** Options of `connect(app, path, options)` and `connectURL(url, options)`. */
export interface ConnectOptions {
  /** Request headers, such as `{ cookie: "session=1" }`. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Subprotocols to offer, such as `["enfilade.v1"]`. Default: none. */
  readonly protocols?: readonly string[];
  /** Offers permessage-deflate if true; only with `connectURL`. Default: `false`. */
  readonly compression?: boolean;
}

/** @throws EnfiladeError `ERR_OPTION` when an option is unknown. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkNames("connect()", options, ["headers", "protocols", "compression"]);
}

/** The client's end of a connection, over the network or in memory. */
export interface ClientSocket {
  /** The subprotocol that client and server agreed on; `""` for none. */
  readonly protocol: string;
  readonly isOpen: boolean;
  send(data: string | Uint8Array): void;
  /** Starts the closing handshake. Default: no code. */
  close(code?: number, reason?: string): void;
  /** Ends the connection at once. */
  destroy(): void;
}

/** Receives the events of a {@link ClientSocket}. */
export interface ClientSocketEvents {
  /** `data` is a string for a text message, bytes for a binary one. */
  onMessage(data: string | Uint8Array): void;
  /** Called once. `code` is 1006 if the connection broke, 1005 if it was closed without a code. */
  onClose(code: number, reason: string): void;
}

/** @throws EnfiladeError `ERR_CLOSE_CODE` for a code that a client may not send (RFC 6455 7.4.2). */
export function checkClientCode(code: number | undefined): void {
  if (code === undefined || code === 1000 || (Number.isInteger(code) && code >= 3000 && code <= 4999)) return;
  throw new EnfiladeError("ERR_CLOSE_CODE", `close takes 1000 or a code from 3000 to 4999, got ${String(code)}`);
}
