import { EnfiladeError, MessageError } from "../../errors.js";
import { encodeJSON } from "../payload.js";
import type { EventProtocol } from "./protocol.js";

/**
 * An event protocol of text: a name, a space and JSON, such as `join {"name":"x"}`, or the name alone.
 *
 * Events have no ids, so there are no replies. An error is `error {"event", "code", "message"}`.
 */
export const spacedEvents: EventProtocol = {
  example: 'name {"some":"json"}',
  format: "text",
  decode({ text }) {
    const space = text.indexOf(" ");
    if (space === -1) return { event: text || undefined };
    return { event: text.slice(0, space) || undefined, data: parse(text.slice(space + 1)) };
  },
  encode(outgoing) {
    if (outgoing.kind === "item") {
      return spaced("item", { id: outgoing.id, seq: outgoing.seq, data: outgoing.data ?? null });
    }
    if (outgoing.kind === "reply") return spaced("reply", { id: outgoing.id, data: outgoing.data ?? null });
    if (outgoing.kind === "error") return spaced("error", { event: outgoing.event, ...outgoing.error });
    return spaced(outgoing.event, outgoing.data);
  },
};

function spaced(event: string, data: unknown): string {
  if (event === "" || event.includes(" ")) {
    throw new EnfiladeError("ERR_VALUE", `spacedEvents takes a non-empty event name without spaces, got "${event}"`);
  }
  return data === undefined ? event : `${event} ${encodeJSON(data)}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MessageError("ERR_BAD_JSON", "the text after the event name is not JSON", [], { cause });
  }
}
