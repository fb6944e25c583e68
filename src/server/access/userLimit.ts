import { userTopic } from "../../backplane/topic.js";
import type { Refusal } from "../../connection/transport.js";
import { userId } from "../../handler/user.js";
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

  /** Makes room for a further connection of `user`, or returns a refusal. A client without a user id is not counted. */
  admit(registry: Registry, user: unknown): Refusal | undefined {
    const id = userId(user);
    if (id === undefined) return undefined;
    const members = registry.membersOf(userTopic(id));
    if (members === undefined || members.size < this.#connectionsMax) return undefined;
    // Connections that are closing count no more: a client that reconnects must not be refused for its last one.
    const open = [...members].filter(({ isOpen }) => isOpen);
    const excess = open.length + 1 - this.#connectionsMax;
    if (excess <= 0) return undefined;
    if (this.#overflow === "refuse") {
      const answer = refusal("user", 429, "Too many connections of this user");
      return { ...answer, closeCode: CloseCode.tooManyConnections, phrase };
    }
    for (const member of open.slice(0, excess)) member.close(CloseCode.tooManyConnections, phrase, false);
    return undefined;
  }
}
