import type { Delivery, EncodedForm } from "../backplane/delivery.js";
import type { Position } from "../wire/position.js";
import type { Member } from "./dialect.js";

/** Whether the sender excepted this member, by its connection or by its client, which may have reconnected since. */
export function isExcepted({ except }: Delivery, { id, dialect }: Member): boolean {
  const { clientName } = dialect;
  return except.includes(id) || (clientName !== undefined && except.includes(clientKey(clientName)));
}

/** Encodes the position of a publication without its content. */
export interface PositionEncoder {
  /** Shared by all members that get the same bytes. */
  readonly encoder: object;
  readonly form: EncodedForm;
  readonly encode: (position: Position) => Uint8Array;
}

/**
 * Sends an excepted member the position of a publication to its home, without the content: else it would see a jump, or
 * get the message when it resumes. No policy may drop it.
 */
export function sendPosition(delivery: Delivery, member: Member, { encoder, form, encode }: PositionEncoder): void {
  const { address, position } = delivery;
  if (address !== member.home || position === undefined) return;
  const bytes = delivery.encoded(encoder, form) ?? delivery.keepEncoded(encoder, form, encode(position));
  member.push(bytes, undefined, position);
}

/** The key of a client in `Delivery.except`. It differs from ids of connections, which have no colon. */
export function clientKey(clientName: string): string {
  return `client:${clientName}`;
}
