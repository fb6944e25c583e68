import type { CloseCommand, EvictCommand } from "../backplane/backplane.js";
import { Delivery } from "../backplane/delivery.js";
import { isRevoked, isRoom, type RevokedTopic } from "../backplane/topic.js";
import type { DeliveryPolicy } from "../connection/policy.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import type { RoomPath } from "../wire/path.js";
import { Payload } from "../wire/payload.js";

/** A message between nodes for the members of a topic: a delivery, or a command to close or to evict members. */
export type NodeMessage =
  | { readonly delivery: Delivery }
  | { readonly closing: CloseCommand }
  | { readonly evicting: EvictCommand };

export interface AddressedNodeMessage {
  readonly message: NodeMessage;
  /**
   * The address of a message that every node receives: the topmost room of a tree, or the clients whose access is
   * revoked. `undefined` for other messages, whose address is the channel.
   */
  readonly address: RoomPath | RevokedTopic | undefined;
}

/** The version of messages, which are also stored as history. Nodes ignore messages and signals of another version. */
const version = 1;
/** The version of signals, which are never stored. */
const signalVersion = 2;

/** The headers of most messages, encoded and parsed in advance. */
const plainHeaders = new Map(
  ["json", "text", "binary", "event"].map((kind) => [kind, JSON.stringify({ v: version, k: kind })] as const),
);
const plainFields = new Map([...plainHeaders].map(([kind, header]) => [header, { v: version, k: kind }] as const));

/** Encodes a message as a header line of JSON, followed by the content. */
export function encodeNodeMessage({ message, address }: AddressedNodeMessage): Uint8Array {
  if ("closing" in message)
    return Buffer.from(`${JSON.stringify({ v: version, t: address, k: "close", ...message.closing })}\n`);
  if ("evicting" in message) {
    const { who, reason } = message.evicting;
    return Buffer.from(`${JSON.stringify({ v: version, k: "evict", ...who, reason })}\n`);
  }
  const { payload, except, policy } = message.delivery;
  const x = except.length === 0 ? undefined : except;
  const isPlain = x === undefined && address === undefined && policy === undefined;
  const { kind, data } = contentOf(payload);
  const plain = isPlain ? plainHeaders.get(kind) : undefined;
  const header = `${plain ?? JSON.stringify({ v: version, t: address, k: kind, x, p: policy })}\n`;
  if (typeof data === "string") return Buffer.from(header + data);
  return Buffer.concat([Buffer.from(header), data]);
}

/** The content to send. An event is sent as an event, since each node encodes it for its own members. */
function contentOf({ eventJSON, kind, data }: Payload): { readonly kind: string; readonly data: string | Uint8Array } {
  return eventJSON === undefined ? { kind, data } : { kind: "event", data: eventJSON };
}

/** Decodes a message; `undefined` if it is malformed or of another version. */
export function decodeNodeMessage(bytes: Uint8Array): AddressedNodeMessage | undefined {
  const whole = bufferOf(bytes);
  const end = whole.indexOf(lineEnd);
  if (end === -1) return undefined;
  const line = whole.toString("utf8", 0, end);
  const header: Fields | undefined = plainFields.get(line) ?? parse(line);
  if (header === undefined || header.v !== version) return undefined;
  const address = header.t;
  const isText = typeof address === "string";
  if (address !== undefined && !(isText && (isRoom(address) || isRevoked(address)))) return undefined;
  const message = messageOf(header, whole, end + 1);
  return message && { message, address };
}

function messageOf(header: Fields, whole: Buffer, start: number): NodeMessage | undefined {
  if (header.k === "close") return closingOf(header);
  return header.k === "evict" ? evictingOf(header) : deliveryOf(header, whole, start);
}

const lineEnd = 10;
const reasonBytesMax = 123;
const noExceptions: readonly string[] = [];

function bufferOf(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function closingOf({ code, reason }: Fields): NodeMessage | undefined {
  const isCode =
    Number.isInteger(code) && typeof code === "number" && (code === 1000 || (code >= 3000 && code <= 4999));
  return isCode && typeof reason === "string" ? { closing: { code, reason } } : undefined;
}

function evictingOf({ connection, user, reason }: Fields): NodeMessage | undefined {
  if (typeof reason !== "string" || Buffer.byteLength(reason) > reasonBytesMax) return undefined;
  if (typeof connection === "string" && user === undefined) return { evicting: { who: { connection }, reason } };
  return typeof user === "string" && connection === undefined ? { evicting: { who: { user }, reason } } : undefined;
}

function deliveryOf({ k, x = noExceptions, p }: Fields, whole: Buffer, start: number): NodeMessage | undefined {
  const payload = payloadOf(k, whole, start);
  if (payload === undefined || !isStrings(x) || !isPolicy(p)) return undefined;
  return { delivery: new Delivery({ payload, except: x, policy: p }) };
}

function payloadOf(kind: unknown, whole: Buffer, start: number): Payload | undefined {
  if (kind === "binary") return Payload.binary(whole.subarray(start));
  const text = whole.toString("utf8", start);
  if (kind === "text") return Payload.text(text);
  if (kind === "event") return eventOf(parse(text));
  // Invalid JSON would break the frame that it is copied into.
  return kind === "json" && isJSON(text) ? Payload.encodedJSON(text) : undefined;
}

function eventOf({ event, data, from, channel }: Fields = {}): Payload | undefined {
  if (typeof event !== "string" || !isOptionalText(from) || !isOptionalText(channel)) return undefined;
  return Payload.event({ kind: "event", event, data, from, channel }, jsonEvents);
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isPolicy(value: unknown): value is DeliveryPolicy | undefined {
  if (value === undefined) return true;
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  if (value.kind === "latest") return "key" in value && typeof value.key === "string";
  return value.kind === "reliable" || value.kind === "skip";
}

/** The unchecked fields of a JSON object that another node sent. */
export type Fields = Readonly<Record<string, unknown>>;

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // The type is safe: every field is `unknown`.
    return typeof value === "object" && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function isJSON(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Encodes a signal between nodes as JSON. Its `t` is the kind. */
export function encodeSignal(kind: string, fields: object): Uint8Array {
  return Buffer.from(JSON.stringify({ v: signalVersion, t: kind, ...fields }));
}

/** Decodes a signal; `undefined` if it is malformed or of another version. */
export function decodeSignal(bytes: Uint8Array): Fields | undefined {
  const fields = parse(bufferOf(bytes).toString());
  return fields?.v === signalVersion ? fields : undefined;
}
