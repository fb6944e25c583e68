import { encodeJSON } from "../payload.js";
import { type EventProtocol, fieldsOf, idOf, textOf } from "./protocol.js";

/**
 * Events as commands: `{"channel"?: "/chat/general", "cmd": "chat", "param"?: …, "id"?: 7}`.
 *
 * What others get of it is `{"from", "channel", "cmd", "param"}`, where `from` is the id of the sender's connection, set by
 * the server; a `from` that a client sends is not read. A `channel` is a room that the sender is in. A reply is
 * `{"id": 7, "param": …}`, an error `{"id": 7, "error": {"code", "message"}}`, with `cmd` where there was no id.
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
    if (outgoing.kind === "reply") return encodeJSON({ id, param: outgoing.data ?? null });
    const { event, error } = outgoing;
    return encodeJSON(id === undefined ? { cmd: event, error } : { id, error });
  },
};
