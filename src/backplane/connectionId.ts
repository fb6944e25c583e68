import { randomFillSync } from "node:crypto";

const idBytes = 16;
/** Random bytes for many ids at once: asking for 16 of them costs as much as for 4,096. */
const pool = Buffer.allocUnsafe(256 * idBytes);
let used = pool.length;

/** The id of a new connection: 128 random bits in 22 characters of base64url, unique and not to be guessed. */
export function newConnectionId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += idBytes;
  return pool.toString("base64url", used - idBytes, used);
}

/** Whether a text has the form of such an id. */
export function isConnectionId(text: string): boolean {
  return /^[\w-]{22}$/.test(text);
}
