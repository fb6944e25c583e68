import type { ServerFrame } from "../../wire/frames.js";

/** A frame of the server. The ids of its replies are numbers, as {@link SendQueue} assigns them. */
export type ReceivedFrame = ServerFrame<number>;

/** @throws Error when `text` is not JSON. */
export function readFrame(text: string): ReceivedFrame {
  try {
    // The server guarantees the shape described in PROTOCOL.md. Callers report errors in the use of the frame.
    return JSON.parse(text) as ReceivedFrame;
  } catch {
    // The parser's own error quotes the text, which must not end up in logs.
    throw new Error("a frame is not JSON");
  }
}
