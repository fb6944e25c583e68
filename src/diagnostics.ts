import { channel } from "node:diagnostics_channel";

/**
 * The channels on which all apps of this process publish, in the terms of Node's `diagnostics_channel`.
 *
 * A site looks at `hasSubscribers` first, and makes nothing and calls nothing when there are none.
 */
export const channels = {
  opened: channel("enfilade:connection:open"),
  closed: channel("enfilade:connection:close"),
  messageIn: channel("enfilade:message:in"),
  messageOut: channel("enfilade:message:out"),
  published: channel("enfilade:publish"),
  refused: channel("enfilade:refuse"),
  failed: channel("enfilade:error"),
} as const;

/** Takes what connections report. A method is called only where its channel has subscribers. */
export interface PeerObserver<Peer, Message, Payload> {
  onMessageIn(peer: Peer, message: Message): void;
  /**
   * @param bytes How many the dialect made of it.
   * @param room The room or the tree that it was published to; `undefined` for any other message.
   */
  onMessageOut(peer: Peer, payload: Payload, bytes: number, room: string | undefined): void;
}
