import { isRoom, isTree, patternOf, type Topic } from "../../backplane/topic.js";
import type { Connection } from "../../connection/connection.js";
import type { Message } from "../../wire/message.js";
import type { Payload } from "../../wire/payload.js";
import type { Tap } from "./tap.js";
import type { TapMatcher } from "./tapFilter.js";

/** A tap on messages, with its filter. */
export interface MessageTap {
  readonly matcher: TapMatcher;
  readonly tap: Tap;
}

/**
 * The taps of one app on the messages of its connections.
 *
 * They do not subscribe to the diagnostics channels, which report every message. Here a message that no tap can match
 * costs one check: each connection and each delivery has a flag.
 */
export class MessageTaps {
  readonly #taps = new Set<MessageTap>();

  add(tap: MessageTap): void {
    this.#taps.add(tap);
  }

  remove(tap: MessageTap): void {
    this.#taps.delete(tap);
  }

  /** Whether a message from or to this connection may match, in any room. */
  watchesConnection(connection: Pick<Connection, "id" | "request">): boolean {
    for (const { matcher } of this.#taps) if (matcher.mayMatch(connection)) return true;
    return false;
  }

  /** Whether a message to this topic, to any connection, may match. */
  watchesTopic(topic: Topic): boolean {
    if (this.#taps.size === 0) return false;
    const address = isTree(topic) ? patternOf(topic) : isRoom(topic) ? topic : undefined;
    if (address === undefined) return false;
    for (const { matcher } of this.#taps) if (matcher.directions.has("out") && matcher.includes(address)) return true;
    return false;
  }

  onMessageIn(connection: Connection, message: Message): void {
    for (const { matcher, tap } of this.#taps) {
      if (!matcher.directions.has("in") || !matcher.matchesConnection(connection)) continue;
      // Copied, since the bytes may be a small part of a large buffer.
      const data = message.isText ? message.text : new Uint8Array(message.bytes);
      if (matcher.matchesText(data)) tap.add({ direction: "in", time: Date.now(), connection, data });
    }
  }

  onMessageOut(connection: Connection, { kind, data }: Payload, room: string | undefined): void {
    for (const { matcher, tap } of this.#taps) {
      if (!matcher.directions.has("out")) continue;
      if (!matcher.matchesConnection(connection, room) || !matcher.matchesText(data)) continue;
      tap.add({ direction: "out", time: Date.now(), connection, kind, data, room });
    }
  }
}
