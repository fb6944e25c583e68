import type { Registry } from "../../room/registry.js";
import type { UserSummary } from "../api.js";
import { FirstRows, type KeyedRow } from "./firstRows.js";

/** The query of a page of users, as `GET api/users` has it. */
export interface UsersQuery {
  readonly search?: string | undefined;
  readonly after?: string | undefined;
  /** The maximum number of rows. */
  readonly rowsMax: number;
}

/** The users with a connection to one node, in the order of their ids. */
export function usersOf(
  registry: Registry,
  node: string,
  { search, after, rowsMax }: UsersQuery,
): KeyedRow<UserSummary>[] {
  const counts = new FirstRows<number>(rowsMax, after);
  const searched = search?.toLowerCase();
  for (const { id } of registry.members) {
    const user = registry.memberships.userIdOf(id);
    if (user === undefined || !counts.isNear(user)) continue;
    if (searched !== undefined && !user.toLowerCase().includes(searched)) continue;
    counts.set(user, (counts.get(user) ?? 0) + 1);
  }
  return counts.rows.map(([id, connections]) => [id, { id, connections, nodes: [node] }]);
}

/** The row of a user on two nodes. */
export function mergedUsers(one: UserSummary, other: UserSummary): UserSummary {
  return { id: one.id, connections: one.connections + other.connections, nodes: [...one.nodes, ...other.nodes] };
}
