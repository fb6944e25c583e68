import type { Publication } from "../backplane/backplane.js";
import type { Connection } from "../connection/connection.js";

/** A set of connections addressed as one: those in a room, in a channel, of a user, or all. */
export class Audience {
  readonly members = new Set<Connection>();

  /** The one send loop: nothing in it encodes, and nothing a member does can stop it. */
  send({ payload, except, policy }: Publication): void {
    if (except.length === 0) {
      for (const member of this.members) member.send(payload, policy);
    } else {
      for (const member of this.members) {
        if (!except.includes(member.id)) member.send(payload, policy);
      }
    }
  }
}
