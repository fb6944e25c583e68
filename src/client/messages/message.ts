import type { MessageFrame } from "../../wire/frames.js";

/** A message as it came: of `data`, `text` and `bytes` one is there. */
export interface ClientMessage {
  /** What was sent as JSON. */
  readonly data: unknown;
  readonly text: string | undefined;
  readonly bytes: Uint8Array | undefined;
  /** Its place among the publications of the room, where the server keeps a history; else `undefined`. */
  readonly offset: number | undefined;
  /** The path of the room or the tree that it was published to, if that is another than the one connected to. */
  readonly room: string | undefined;
}

/** The message of a frame; `undefined` for one that only counts. */
export function messageOf({ data, text, base64, offset, room }: MessageFrame): ClientMessage | undefined {
  if (data === undefined && text === undefined && base64 === undefined) return undefined;
  return { data, text, bytes: base64 === undefined ? undefined : bytesOf(base64), offset, room };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
