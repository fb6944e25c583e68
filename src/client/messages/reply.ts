import { internalFailure } from "../../wire/events/protocol.js";
import type { RequestFrame } from "../../wire/frames.js";

/**
 * Answers a request of the server. Resolves with the reply frame.
 *
 * @param answer The listener. Its error is reported in this client; the server gets only the code `internal`.
 */
export async function replyTo(
  { id, data }: RequestFrame,
  answer: ((data: never) => unknown) | undefined,
  report: (error: unknown) => void,
): Promise<string> {
  const encode = (outcome: object) => JSON.stringify({ type: "reply", id, ...outcome });
  if (!answer) return encode({ error: { code: "unknown_event", message: "no listener" } });
  try {
    // The type of the data is the one that the listener declares; it is not checked.
    return encode({ data: (await answer(data as never)) ?? null });
  } catch (error) {
    report(error);
    return encode({ error: internalFailure });
  }
}
