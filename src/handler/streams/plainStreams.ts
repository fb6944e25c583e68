import type { Member } from "../../protocol/dialect.js";
import { DirectStream } from "../../protocol/streams/directStream.js";
import type { EventFailure, OutgoingEvent } from "../../wire/events/protocol.js";
import type { StreamSource } from "../../wire/stream.js";

/** The number of streams to each plain client. */
const counts = new WeakMap<Member, number>();

/** Whether another stream to this plain client is allowed; see the limit `streamsMax`. */
export function hasStreamSpace(member: Member): boolean {
  return (counts.get(member) ?? 0) < member.limits.streamsMax;
}

/**
 * Sends a stream to a plain client, as messages of its event protocol. The client cannot cancel or continue it: the
 * stream ends with its connection.
 */
export function sendToPlain(
  source: StreamSource,
  member: Member,
  event: { readonly id: string | number; readonly event: string },
  send: (outgoing: OutgoingEvent) => void,
): void {
  const { id } = event;
  counts.set(member, (counts.get(member) ?? 0) + 1);
  new DirectStream(source, member, {
    onItem: (seq: number, data: unknown) => send({ kind: "item", id, seq, data }),
    onReply: (data: unknown) => send({ kind: "reply", id, data }),
    onError: (error: EventFailure) => send({ kind: "error", ...event, error }),
    onOver: () => counts.set(member, (counts.get(member) ?? 1) - 1),
  });
}
