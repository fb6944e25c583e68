import type { ServerFrame } from "../../wire/frames.js";

/** A frame of the server; replies have the ids that {@link SendQueue} gives, which are numbers. */
export type ReceivedFrame = ServerFrame<number>;

/** @throws Error when it is not JSON. */
export function readFrame(text: string): ReceivedFrame {
  try {
    // The server guarantees the form that PROTOCOL.md describes; callers report what fails later.
    return JSON.parse(text) as ReceivedFrame;
  } catch {
    // The parser's own message quotes the text, and would end up in logs.
    throw new Error("a frame is not JSON");
  }
}
