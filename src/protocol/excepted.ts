import type { Delivery } from "../backplane/delivery.js";
import type { Member } from "./dialect.js";

/** Whether the sender excepted this member, by its connection or by its client, which may have reconnected since. */
export function isExcepted({ except }: Delivery, { id, dialect }: Member): boolean {
  const { clientName } = dialect;
  return except.includes(id) || (clientName !== undefined && except.includes(clientKey(clientName)));
}

/** The key of a client in `Delivery.except`. It differs from ids of connections, which have no colon. */
export function clientKey(clientName: string): string {
  return `client:${clientName}`;
}
