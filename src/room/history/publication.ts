import type { Delivery } from "../../backplane/delivery.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { Payload } from "../../wire/payload.js";
import type { Position } from "../../wire/position.js";

/** A message that was published to a room, as server code reads it. It has one of `data`, `text` and `bytes`. */
export interface Publication {
  /** The path of the room, or the pattern of the tree (`/org/7/**`). Only in a subscription to a tree. */
  readonly room?: string;
  /** The position in the room's history; `undefined` if no history keeps the message, such as one to a tree. */
  readonly position?: Position;
  /** The value of a JSON message or of an event, parsed. */
  readonly data?: unknown;
  /** The text of a text message. */
  readonly text?: string;
  /** The bytes of a binary message. */
  readonly bytes?: Uint8Array;
  /** How many publications before this one were lost: the loop was too slow, or they were lost between nodes. */
  readonly missed?: number;
}

/** @param protocol The format of events in the room, from its route. */
export function publicationOf({ payload, position }: Delivery, protocol: EventProtocol, missed = 0): Publication {
  const { kind, data } = encodedFor(payload, protocol);
  return {
    ...(position !== undefined && { position }),
    ...(kind === "json" && { data: JSON.parse(data.toString()) }),
    ...(kind === "text" && { text: data.toString() }),
    ...(typeof data !== "string" && { bytes: data }),
    ...(missed > 0 && { missed }),
  };
}

/** The payload in the protocol of the room, or as the sender encoded it if the protocol cannot encode the event. */
function encodedFor(payload: Payload, protocol: EventProtocol): Payload {
  try {
    return payload.in(protocol);
  } catch {
    return payload;
  }
}
