const userPrefix = "user:";

/** The key of a user in a room; the same on every node. */
export function userKey(id: string): string {
  return userPrefix + id;
}

/** The key of an anonymous connection, which is on one node only. */
export function connectionKey(id: string): string {
  return `connection:${id}`;
}

export function isUserKey(key: string): boolean {
  return key.startsWith(userPrefix);
}
