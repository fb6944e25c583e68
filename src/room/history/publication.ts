import type { Delivery } from "../../backplane/delivery.js";
import type { EventProtocol } from "../../wire/events/protocol.js";
import type { Payload } from "../../wire/payload.js";
import type { Position } from "../../wire/position.js";

/** What was published to a room, as code of the server reads it: one of `data`, `text` and `bytes`. */
export interface Publication {
  /** The room that it was published to, or the tree (`/org/7/**`); only in a subscription to a tree. */
  readonly room?: string;
  /** Where it stands in the room's history; `undefined` where none is kept, and for what was sent to a whole tree. */
  readonly position?: Position;
  /** What was sent as JSON, parsed. */
  readonly data?: unknown;
  readonly text?: string;
  readonly bytes?: Uint8Array;
  /** How many publications before this one were dropped, since the loop over a subscription was too slow. */
  readonly missed?: number;
}

/** @param protocol How an event is read, as that of the room's route. */
export function publicationOf({ payload, position }: Delivery, protocol: EventProtocol, missed = 0): Publication {
  const { kind, data } = readable(payload, protocol);
  return {
    ...(position !== undefined && { position }),
    ...(kind === "json" && { data: JSON.parse(data.toString()) }),
    ...(kind === "text" && { text: data.toString() }),
    ...(typeof data !== "string" && { bytes: data }),
    ...(missed > 0 && { missed }),
  };
}

/** An event that the protocol has no form for is read as its sender encoded it. */
function readable(payload: Payload, protocol: EventProtocol): Payload {
  try {
    return payload.in(protocol);
  } catch {
    return payload;
  }
}
