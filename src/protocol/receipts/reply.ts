import type { EventFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { encodeJSON } from "../../wire/payload.js";

/** The outcome of a request: data, or an error. */
export type Outcome = ({ readonly data: unknown } | { readonly error: EventFailure }) & {
  /** The number of items before it, at the end of a stream. */
  readonly seq?: number | undefined;
};

/** Encodes a `reply` frame; it is stored in this form. */
export function replyText(id: FrameId, outcome: Outcome): string {
  return encodeJSON({ type: "reply", id, ...outcome });
}
