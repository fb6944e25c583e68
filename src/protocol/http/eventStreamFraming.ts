import type { Framing } from "../../connection/transport.js";
import { base64 } from "../base64.js";

/** A block that sets the last event id of the client, without an event. */
export function idBlock(id: string): string {
  return `id: ${id}\n\n`;
}

/** An event of the type `type`, with one line of data. */
export function eventBlock(type: string, data: object, id?: string): string {
  return `${idField(id)}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A message as an event: text as it is, line by line; bytes in base64, as an event of the type `binary`. */
export function messageBlock(data: string | Uint8Array, id?: string): string {
  if (typeof data !== "string") return `${idField(id)}event: binary\ndata: ${base64(data)}\n\n`;
  const lines = /[\r\n]/.test(data) ? data.split(/\r\n|[\r\n]/).join("\ndata: ") : data;
  return `${idField(id)}data: ${lines}\n\n`;
}

/** A value of a streamed reply, as JSON, with its number as the id. */
export function itemBlock(seq: number, json: string): string {
  return `id: ${seq}\ndata: ${json}\n\n`;
}

/** The end of a streamed reply: an event `reply` or `error` with its data. */
export function endBlock(type: "reply" | "error", data: unknown): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function idField(id: string | undefined): string {
  return id === undefined ? "" : `id: ${id}\n`;
}

/** Encodes messages as server-sent events (WHATWG HTML, 9.2.6). */
export const eventStreamFraming: Framing = {
  encode: (data) => Buffer.from(messageBlock(data)),
};
