import { randomFillSync } from "node:crypto";

const idBytes = 16;
/** Random bytes for 256 ids: one call for 4,096 bytes takes as long as one for 16. */
const pool = Buffer.allocUnsafe(256 * idBytes);
let used = pool.length;

/** Makes the id of a connection: 128 random bits as 22 characters of base64url, unique and impossible to guess. */
export function newConnectionId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += idBytes;
  return pool.toString("base64url", used - idBytes, used);
}

/** Whether `text` has the form of a connection id. */
export function isConnectionId(text: string): boolean {
  return /^[\w-]{22}$/.test(text);
}
