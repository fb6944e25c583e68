import { internalFault } from "../../wire/events/protocol.js";
import type { RequestFrame } from "../../wire/frames.js";

/**
 * Resolves with the reply frame to a request of the server.
 *
 * @param answer What it throws is reported; the server learns only that it failed.
 */
export async function replyTo(
  { id, data }: RequestFrame,
  answer: ((data: never) => unknown) | undefined,
  report: (error: unknown) => void,
): Promise<string> {
  const encode = (outcome: object) => JSON.stringify({ type: "reply", id, ...outcome });
  if (!answer) return encode({ error: { code: "unknown_event", message: "no listener" } });
  try {
    // What a request carries is the server's word, as its listener declares it.
    return encode({ data: (await answer(data as never)) ?? null });
  } catch (error) {
    report(error);
    return encode({ error: internalFault });
  }
}
