/** How much there is on one node, or on several in total. */
export interface Counts {
  readonly connections: number;
  readonly rooms: number;
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
