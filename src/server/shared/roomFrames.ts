import { CloseCode, NO_CODE } from "../../wire/closeCodes.js";
import { Message } from "../../wire/message.js";

/** Asks for a connection to a room. */
export interface OpenFrame {
  readonly type: "open";
  readonly room: string;
  /** The query of the URL that the client would connect to, without `?`. */
  readonly query: string;
  readonly secret: string | undefined;
  readonly token: string | undefined;
}

/** A frame of a client on a shared socket. */
export type RoomFrame =
  | OpenFrame
  | { readonly type: "close"; readonly room: string; readonly code: number; readonly reason: string }
  | { readonly type: "ping" }
  /** A frame of `enfilade.v1` for the connection to the room. */
  | { readonly type: "message"; readonly room: string; readonly message: Message };

/** Reads a message of a client; `undefined` if it is no frame. */
export function readRoomFrame(message: Message): RoomFrame | undefined {
  const fields = message.isText ? fieldsOf(message) : undefined;
  if (fields === undefined) return undefined;
  const { type, room } = fields;
  if (room === undefined) return type === "ping" ? { type } : undefined;
  if (typeof room !== "string") return undefined;
  if (type === "open") return openOf(room, fields);
  if (type === "close") return closeOf(room, fields);
  return { type: "message", room, message: messageOf(message, fields) };
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(message: Message): Fields | undefined {
  try {
    const value: unknown = JSON.parse(message.text);
    // The type is safe: every field is `unknown`.
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function openOf(room: string, { query = "", secret, token }: Fields): OpenFrame | undefined {
  if (typeof query !== "string" || !isText(secret) || !isText(token)) return undefined;
  return { type: "open", room, query, secret, token };
}

function isText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

/** RFC 6455 7.4: the codes that a client may send. Without a code, the connection ends as by 1005. */
function closeOf(room: string, { code = NO_CODE, reason = "" }: Fields): RoomFrame | undefined {
  if (typeof code !== "number" || typeof reason !== "string" || Buffer.byteLength(reason) > 123) return undefined;
  const isAllowed = code === NO_CODE || code === CloseCode.normal || (code >= 3_000 && code <= 4_999);
  return isAllowed && Number.isInteger(code) ? { type: "close", room, code, reason } : undefined;
}

/** Bytes are sent as base64, since a binary frame could not say which room it is for. */
function messageOf(message: Message, frame: Fields): Message {
  const { type, base64 } = frame;
  if (type === "message" && typeof base64 === "string") return new Message(Buffer.from(base64, "base64"), false);
  return new Message(message.bytes, true, { frame });
}
