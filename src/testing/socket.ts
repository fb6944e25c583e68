import { EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";

/** How a test client connects. */
export interface ConnectOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Subprotocols to offer. */
  readonly protocols?: readonly string[];
  /** Whether to offer permessage-deflate; without a port there is none. Default: `false`. */
  readonly compression?: boolean;
}

/** @throws EnfiladeError `ERR_OPTION` for a name that does not exist. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkNames("connect()", options, ["headers", "protocols", "compression"]);
}

/** The client's end of a connection, with a port or without. */
export interface ClientSocket {
  /** The subprotocol agreed on, or `""`. */
  readonly protocol: string;
  readonly isOpen: boolean;
  send(data: string | Uint8Array): void;
  /** Starts the closing handshake, without a code by default. */
  close(code?: number, reason?: string): void;
  /** Ends the connection at once. */
  destroy(): void;
}

/** What a client's end reports. */
export interface ClientSocketEvents {
  /** A string for a text message. */
  onMessage(data: string | Uint8Array): void;
  /** Called once; 1006 when the connection broke, 1005 when it was closed without a code. */
  onClose(code: number, reason: string): void;
}

/** @throws EnfiladeError `ERR_CLOSE_CODE` for a code that no client may send (RFC 6455 7.4.2). */
export function checkClientCode(code: number | undefined): void {
  if (code === undefined || code === 1000 || (Number.isInteger(code) && code >= 3000 && code <= 4999)) return;
  throw new EnfiladeError("ERR_CLOSE_CODE", `close takes 1000 or a code from 3000 to 4999, got ${String(code)}`);
}
