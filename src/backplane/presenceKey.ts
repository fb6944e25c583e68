const userPrefix = "user:";

/** The key of a user in the presence of a room; the same on all nodes. */
export function userKey(id: string): string {
  return userPrefix + id;
}

/** The key of an anonymous connection in the presence of a room. */
export function connectionKey(id: string): string {
  return `connection:${id}`;
}

export function isUserKey(key: string): boolean {
  return key.startsWith(userPrefix);
}
