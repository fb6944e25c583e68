import { MessageError } from "../../errors.js";
import type { DecodedEvent } from "../../wire/events/incomingEvent.js";
import { type EventFailure, fieldsOf } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import type { Message } from "../../wire/message.js";
import { encodeJSON, type Payload } from "../../wire/payload.js";
import type { Position } from "../../wire/position.js";
import { type StreamFields, streamKeyPattern, streamWindow, streamWindowMax } from "../../wire/stream.js";
import { base64 } from "../base64.js";
import type { Outcome } from "../receipts/reply.js";

/** A frame of a client. */
export type IncomingFrame =
  | { readonly type: "message"; readonly id: FrameId | undefined; readonly text: string }
  | EventFrame
  | { readonly type: "ack"; readonly id: FrameId; readonly seq: number }
  | { readonly type: "cancel"; readonly id: FrameId }
  | { readonly type: "reply"; readonly id: FrameId; readonly outcome: Outcome }
  | { readonly type: "refresh"; readonly id: FrameId | undefined; readonly token: string }
  | { readonly type: "watch"; readonly id: FrameId | undefined }
  | { readonly type: "ping"; readonly id: FrameId | undefined }
  | BadFrame;

/** An event; with `stream`, it has an id. */
export interface EventFrame {
  readonly type: "event";
  readonly id: FrameId | undefined;
  readonly text: string;
  readonly event: DecodedEvent;
  readonly stream: StreamFields | undefined;
}

/**
 * An invalid frame. If it has a valid `id`, the client gets an error with this id.
 *
 * It is a value: an error with its stack would take longer than all else about a frame, and a client can send many.
 */
export interface BadFrame {
  readonly type: "bad";
  readonly id: FrameId | undefined;
}

/** Parses a message. One that is no frame is a {@link BadFrame}. */
export function readFrame(message: Message): IncomingFrame {
  let frame: Readonly<Record<string, unknown>> = {};
  try {
    frame = message.origin?.frame ?? fieldsOf(message);
    return frameOf(frame);
  } catch (error) {
    // Not JSON; or nested so deeply that JSON.stringify exceeds the stack, though JSON.parse did not (RFC 8259 9).
    if (error instanceof MessageError || error instanceof RangeError) return { type: "bad", id: frameId(frame.id) };
    throw error;
  }
}

function frameOf(fields: Readonly<Record<string, unknown>>): IncomingFrame {
  const { type, id: given, data, text, event, token } = fields;
  const id = frameId(given);
  const isBadId = given !== undefined && id === undefined;
  if (!isBadId && type === "message") {
    if (typeof text === "string" && data === undefined) return { type, id, text };
    if (text === undefined && data !== undefined) return { type, id, text: JSON.stringify(data) };
  }
  if (!isBadId && type === "event" && typeof event === "string") {
    const stream = fields.from === undefined ? undefined : streamFields(fields);
    if (stream === null || (stream !== undefined && id === undefined)) return { type: "bad", id };
    return { type, id, text: JSON.stringify({ event, data, id }), event: { event, data, id }, stream };
  }
  if (type === "ack" && id !== undefined && isCount(fields.seq)) return { type, id, seq: fields.seq };
  if (type === "cancel" && id !== undefined) return { type, id };
  if (type === "reply") return replyOf(id, fields);
  if (type === "refresh" && typeof token === "string") return { type, id, token };
  if (type === "watch" || type === "ping") return { type, id };
  return { type: "bad", id };
}

/** The fields of an event with `from`; `null` if one of them is not valid. */
function streamFields(fields: Readonly<Record<string, unknown>>): StreamFields | null {
  const { from, read = from, window = streamWindow, key } = fields;
  if (!isCount(from) || !isCount(read) || read > from) return null;
  const isWindow = isCount(window) && window >= 1 && window <= streamWindowMax;
  const isKey = key === undefined || (typeof key === "string" && streamKeyPattern.test(key));
  return isWindow && isKey ? { from, read, window, key } : null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function replyOf(id: FrameId | undefined, { data, error }: Readonly<Record<string, unknown>>): IncomingFrame {
  if (id !== undefined && data !== undefined && error === undefined) return { type: "reply", id, outcome: { data } };
  if (id !== undefined && data === undefined && isFailure(error)) return { type: "reply", id, outcome: { error } };
  // The id is one of the server: a client would take an error with this id for the answer to a frame of its own.
  return { type: "bad", id: undefined };
}

function isFailure(error: unknown): error is EventFailure {
  if (typeof error !== "object" || error === null || !("code" in error && "message" in error)) return false;
  return typeof error.code === "string" && typeof error.message === "string";
}

/** Encodes a frame of the server. */
export function frameText(type: string, fields: object): string {
  return encodeJSON({ type, ...fields });
}

/**
 * Encodes a `message` frame; the content is encoded already.
 *
 * @param fields Further fields, each with a comma after it: see {@link fieldText}.
 */
export function messageText(payload: Payload, fields = ""): string {
  return `{"type":"message",${fields}${contentOf(payload)}}`;
}

/** A `message` frame that only moves the position in the home. */
export function offsetText({ offset }: Position): string {
  return frameText("message", { offset });
}

/** A field of a frame, with a comma after it. */
export function fieldText(name: string, value: string | number): string {
  return `"${name}":${typeof value === "number" ? value : JSON.stringify(value)},`;
}

function contentOf({ kind, data }: Payload): string {
  if (typeof data !== "string") return `"base64":"${base64(data)}"`;
  return kind === "json" ? `"data":${data}` : `"text":${JSON.stringify(data)}`;
}

const idLengthMax = 64;

function frameId(id: unknown): FrameId | undefined {
  if (typeof id === "string" && id.length > 0 && id.length <= idLengthMax) return id;
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 ? id : undefined;
}
