import { userTopic } from "../../backplane/topic.js";
import type { Refusal } from "../../connection/transport.js";
import { userId } from "../../handler/user.js";
import type { Member, SocketRooms } from "../../protocol/dialect.js";
import type { Registry } from "../../room/registry.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { refusal } from "../refusal.js";

/** How a connection past `connectionsPerUserMax` is treated: it is refused, or the oldest one of the user is closed. */
export type UserOverflow = "refuse" | "closeOldest";

const phrase = "too many connections";

/** Counts the connections of each user on this node, against `connectionsPerUserMax`. */
export class UserLimit {
  readonly #connectionsMax: number;
  readonly #overflow: UserOverflow;

  constructor(connectionsMax: number, overflow: UserOverflow = "refuse") {
    this.#connectionsMax = connectionsMax;
    this.#overflow = overflow;
  }

  /**
   * Makes room for a further connection of `user`, or returns a refusal. A client without a user id is not counted.
   *
   * @param socketRooms Identifies the socket, if the connection shares one.
   */
  admit(registry: Registry, user: unknown, socketRooms?: SocketRooms): Refusal | undefined {
    const id = userId(user);
    if (id === undefined) return undefined;
    const members = registry.membersOf(userTopic(id));
    if (members === undefined || members.size < this.#connectionsMax) return undefined;
    // Connections that are closing count no more: a client that reconnects must not be refused for its last one.
    const sockets = bySocket([...members].filter(({ isOpen }) => isOpen));
    if (socketRooms !== undefined && sockets.has(socketRooms)) return undefined;
    const excess = sockets.size + 1 - this.#connectionsMax;
    if (excess <= 0) return undefined;
    if (this.#overflow === "refuse") {
      const answer = refusal("user", 429, "Too many connections of this user");
      return { ...answer, closeCode: CloseCode.tooManyConnections, phrase };
    }
    for (const member of [...sockets.values()].slice(0, excess).flat()) {
      member.close(CloseCode.tooManyConnections, phrase, false);
    }
    return undefined;
  }
}

/** Connections that share a socket count as one. */
function bySocket(members: readonly Member[]): Map<object, Member[]> {
  const sockets = new Map<object, Member[]>();
  for (const member of members) {
    const socket = member.dialect.socketRooms ?? member;
    const known = sockets.get(socket);
    if (known === undefined) sockets.set(socket, [member]);
    else known.push(member);
  }
  return sockets;
}
