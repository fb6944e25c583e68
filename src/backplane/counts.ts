/** The counts of one node, or the sums of several nodes. In a sum, a room or a user on two nodes counts twice. */
export interface Counts {
  /** Open connections. */
  readonly connections: number;
  /** Open rooms: those with a member or a subscription, or with a user who may return. */
  readonly rooms: number;
  /** Users with at least one connection. Anonymous clients do not count. */
  readonly users: number;
}

export const noCounts: Counts = { connections: 0, rooms: 0, users: 0 };

export function addCounts(one: Counts, other: Counts): Counts {
  return {
    connections: one.connections + other.connections,
    rooms: one.rooms + other.rooms,
    users: one.users + other.users,
  };
}
