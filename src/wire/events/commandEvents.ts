import { encodeJSON } from "../payload.js";
import { type EventProtocol, fieldsOf, idOf, textOf } from "./protocol.js";

/**
 * An event protocol of commands: a client sends `{"channel"?: "/chat/general", "cmd": "chat", "param"?: …, "id"?: 7}`.
 *
 * A handler emits `{"from", "channel", "cmd", "param"}`. The server sets `from`, the id of the sender's connection; it
 * ignores a `from` of a client. `channel` is the path of a room that the sender is in. A reply is
 * `{"id": 7, "param": …}`, and a value of a streamed reply `{"id": 7, "seq": 0, "param": …}`. An error is
 * `{"id": 7, "error": {"code", "message"}}`, or has `cmd` in place of `id` if the client sent no id.
 */
export const commandEvents: EventProtocol = {
  example: '{"cmd": "name", "channel"?: "/path", "param"?: …, "id"?: …}',
  format: "json",
  decode(message) {
    const { cmd, channel, param, id } = fieldsOf(message);
    if (channel !== undefined && typeof channel !== "string") return { id: idOf(id) };
    return { event: textOf(cmd), data: param, channel, id: idOf(id) };
  },
  encode(outgoing) {
    if (outgoing.kind === "event") {
      const { from, channel, event, data } = outgoing;
      return encodeJSON({ from, channel, cmd: event, param: data });
    }
    const { id } = outgoing;
    if (outgoing.kind === "item") return encodeJSON({ id, seq: outgoing.seq, param: outgoing.data ?? null });
    if (outgoing.kind === "reply") return encodeJSON({ id, param: outgoing.data ?? null });
    const { event, error } = outgoing;
    return encodeJSON(id === undefined ? { cmd: event, error } : { id, error });
  },
};
