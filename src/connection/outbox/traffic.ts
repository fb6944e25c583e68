import type { Inbox } from "../inbox.js";
import type { Outbox } from "../outbox.js";
import type { Transport } from "../transport.js";

/** The messages and bytes of one connection since it opened. */
export interface Traffic {
  /** Messages for its handler. */
  readonly messagesIn: number;
  /** Messages to the client, pongs included. */
  readonly messagesOut: number;
  /** The bytes received from the network. */
  readonly bytesIn: number;
  /** The bytes written to the network. */
  readonly bytesOut: number;
  /** The bytes that were sent but that the network has not accepted yet. */
  readonly bufferedBytes: number;
  /** Whether messages wait because the client reads too slowly. */
  readonly isLagging: boolean;
}

export function trafficOf(inbox: Inbox, outbox: Outbox, transport: Transport): Traffic {
  return {
    messagesIn: inbox.count,
    messagesOut: outbox.count,
    bytesIn: transport.receivedBytes,
    bytesOut: outbox.sentBytes,
    bufferedBytes: outbox.bytes + transport.bufferedBytes,
    isLagging: outbox.hasBacklog,
  };
}
