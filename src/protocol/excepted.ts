import type { Delivery } from "../backplane/delivery.js";
import type { Member } from "./dialect.js";

/** Whether the sender excepted this member. A client that resumes is the one that it was, on another connection. */
export function isExcepted({ except }: Delivery, { id, dialect }: Member): boolean {
  const { clientName } = dialect;
  return except.includes(id) || (clientName !== undefined && except.includes(clientKey(clientName)));
}

/** How a client stands in a list of who is excepted; ids of connections have no colon. */
export function clientKey(clientName: string): string {
  return `client:${clientName}`;
}
