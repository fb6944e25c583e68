import { MessageError } from "../errors.js";
import type { DecodedEvent } from "./events/incomingEvent.js";
import { type EventFailure, fieldsOf } from "./events/protocol.js";
import type { FrameId } from "./frames.js";
import type { Message } from "./message.js";
import { type Bytes, encodeJSON, Payload } from "./payload.js";

export { type FrameId, tokenPrefix, v1 } from "./frames.js";

/** A frame of a client, as it was read. */
export type ClientFrame =
  | { readonly type: "message"; readonly id: FrameId | undefined; readonly text: string }
  | { readonly type: "event"; readonly id: FrameId | undefined; readonly text: string; readonly event: DecodedEvent }
  | { readonly type: "refresh"; readonly id: FrameId | undefined; readonly token: string }
  | { readonly type: "watch"; readonly id: FrameId | undefined }
  | { readonly type: "ping"; readonly id: FrameId | undefined };

/** A frame that is none; under its `id`, if it has one, the client can be told. */
export class BadFrame extends Error {
  constructor(readonly id: FrameId | undefined) {
    super("bad frame");
  }
}

/** @throws BadFrame */
export function readFrame(message: Message): ClientFrame {
  let frame: Readonly<Record<string, unknown>> = {};
  try {
    frame = fieldsOf(message);
    return frameOf(frame);
  } catch (error) {
    // It is no JSON; or what JSON can read it cannot write again, since nested too deep it ends the stack (RFC 8259 9).
    throw error instanceof MessageError || error instanceof RangeError ? new BadFrame(frameId(frame.id)) : error;
  }
}

function frameOf({ type, id: given, data, text, event, token }: Readonly<Record<string, unknown>>): ClientFrame {
  const id = frameId(given);
  const isBadId = given !== undefined && id === undefined;
  if (!isBadId && type === "message") {
    if (typeof text === "string" && data === undefined) return { type, id, text };
    if (text === undefined && data !== undefined) return { type, id, text: JSON.stringify(data) };
  }
  if (!isBadId && type === "event" && typeof event === "string") {
    return { type, id, text: JSON.stringify({ event, data, id }), event: { event, data, id } };
  }
  if (type === "refresh" && typeof token === "string") return { type, id, token };
  if (type === "watch" || type === "ping") return { type, id };
  throw new BadFrame(id);
}

/** A frame of the server's own; it goes out as it is. */
export function controlFrame(type: string, fields: object): Payload {
  return Payload.frame(encodeJSON({ type, ...fields }));
}

export function replyFrame(
  id: FrameId,
  outcome: { readonly data: unknown } | { readonly error: EventFailure },
): Payload {
  return controlFrame("reply", { id, ...outcome });
}

/** A message with its content, already encoded, behind what is said of it. */
export function messageFrame(
  payload: Payload,
  about: { readonly room?: string; readonly offset?: number } = {},
): Payload {
  const { room, offset } = about;
  const fields = [
    ...(room === undefined ? [] : [`"room":${JSON.stringify(room)}`]),
    ...(offset === undefined ? [] : [`"offset":${offset}`]),
    contentOf(payload),
  ];
  return Payload.frame(`{"type":"message",${fields.join(",")}}`);
}

function contentOf({ kind, data }: Payload): string {
  if (typeof data !== "string") return `"base64":"${base64(data)}"`;
  return kind === "json" ? `"data":${data}` : `"text":${JSON.stringify(data)}`;
}

function base64(bytes: Bytes & Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

const idLengthMax = 64;

function frameId(id: unknown): FrameId | undefined {
  if (typeof id === "string" && id.length > 0 && id.length <= idLengthMax) return id;
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 ? id : undefined;
}
