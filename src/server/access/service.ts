import type { ConnectionRequest } from "../../connection/request.js";
import type { Transport } from "../../connection/transport.js";
import { runSession, type Session } from "../../handler/session/session.js";
import type { Dialect, SocketRooms } from "../../protocol/dialect.js";
import type { Dialects } from "../../protocol/dialects.js";
import type { EventProtocol } from "../../wire/events/protocol.js";

/** How the clients of one kind are served. */
export interface Service {
  /** Whether the client is in its room and counts as a connection; else it gets one answer. */
  readonly isConnection: boolean;
  /** The rooms of the socket, if it is one of several connections on it; `undefined` for a socket of its own. */
  readonly socketRooms?: SocketRooms;
  /** The HTTP status of an accepted client. */
  readonly status: number;
  dialectOf(transport: Transport, request: ConnectionRequest, eventProtocol: EventProtocol): Dialect;
  /** Serves an accepted client. Calls `onEnded` when it has ended. Never throws. */
  run(session: Session, onEnded: () => void): void;
}

/** The service of a client that sends and receives messages, with the dialect of its subprotocol. */
export function messageService(dialects: Dialects): Service {
  return {
    isConnection: true,
    status: 101,
    dialectOf: (transport, request, eventProtocol) => dialects.of(transport, request, eventProtocol),
    run: runSession,
  };
}
