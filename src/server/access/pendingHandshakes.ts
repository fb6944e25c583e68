import { userId } from "../../handler/user.js";
import { refusal } from "../refusal.js";
import { RefusedError } from "./authorization.js";
import type { Client } from "./client.js";

/** A client that waits for `authorize`. */
export class PendingHandshake {
  /** The ids of users whose access was revoked since it began to wait. */
  #revoked: Set<string> | undefined;

  revoke(id: string): void {
    this.#revoked ??= new Set();
    this.#revoked.add(id);
  }

  /** Throws a refusal with 401 if the access of this user was revoked while `authorize` ran. */
  check(user: unknown): void {
    const id = this.#revoked && userId(user);
    if (id !== undefined && this.#revoked?.has(id))
      throw new RefusedError(refusal("revoked", 401, "Access was revoked"));
  }
}

/** The clients that wait for `authorize`. */
export class PendingHandshakes {
  readonly #all = new Map<Client, PendingHandshake>();

  get size(): number {
    return this.#all.size;
  }

  begin(client: Client): PendingHandshake {
    const pending = new PendingHandshake();
    this.#all.set(client, pending);
    return pending;
  }

  end(client: Client): void {
    this.#all.delete(client);
  }

  /** An `authorize` that began before this must not accept the user any more. */
  revoke(id: string): void {
    for (const pending of this.#all.values()) pending.revoke(id);
  }
}
