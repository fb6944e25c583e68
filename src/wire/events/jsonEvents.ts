import { encodeJSON } from "../payload.js";
import { type EventProtocol, fieldsOf, idOf, textOf } from "./protocol.js";

/**
 * The default event protocol: events are `{"event": "join", "data": …, "id"?: 7}`.
 *
 * A reply is `{"id": 7, "data": …}`, and a value of a streamed reply `{"id": 7, "seq": 0, "data": …}`. An error is
 * `{"id": 7, "error": {"code", "message"}}`, or has `event` in place of `id` if the client sent no id.
 */
export const jsonEvents: EventProtocol = {
  example: '{"event": "name", "data"?: …, "id"?: …}',
  format: "json",
  decode(message) {
    const { event, data, id } = fieldsOf(message);
    return { event: textOf(event), data, id: idOf(id) };
  },
  encode(outgoing) {
    if (outgoing.kind === "event") return encodeJSON({ event: outgoing.event, data: outgoing.data });
    const { id } = outgoing;
    if (outgoing.kind === "item") return encodeJSON({ id, seq: outgoing.seq, data: outgoing.data ?? null });
    if (outgoing.kind === "reply") return encodeJSON({ id, data: outgoing.data ?? null });
    const { event, error } = outgoing;
    return encodeJSON(id === undefined ? { event, error } : { id, error });
  },
};
