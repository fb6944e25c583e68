import type { MessageFrame } from "../../wire/frames.js";

/** A message from the server. Exactly one of `data`, `text` and `bytes` is set. */
export interface ClientMessage {
  /** The value of a message sent as JSON, such as with `sendJSON`; else `undefined`. */
  readonly data: unknown;
  /** The string of a message sent as text, such as with `sendText`; else `undefined`. */
  readonly text: string | undefined;
  /** The bytes of a message sent as binary, such as with `sendBinary`; else `undefined`. */
  readonly bytes: Uint8Array | undefined;
  /** The offset of a publication of the room, if the server keeps its history; else `undefined`. */
  readonly offset: number | undefined;
  /** The path of the room or tree it was published to, if that is not the room of this connection; else `undefined`. */
  readonly room: string | undefined;
}

/** Returns the message of a frame; `undefined` for a frame that has only an offset. */
export function messageOf({ data, text, base64, offset, room }: MessageFrame): ClientMessage | undefined {
  if (data === undefined && (text ?? base64) === undefined) return undefined;
  return { data, text, bytes: base64 === undefined ? undefined : bytesOf(base64), offset, room };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
