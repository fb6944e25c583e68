import type { Connection } from "../connection/connection.js";
import { Payload } from "../wire/payload.js";

/** What a writer needs of its room. */
export interface WriterParts {
  readonly publish: (payload: Payload) => Promise<unknown>;
  readonly members: () => readonly Connection[];
}

/** Members whose network is looked at to find out how fast the room is: the fastest of these decides. */
const paceMembersMax = 16;

/**
 * A stream into a room: each string becomes a text message, each chunk of bytes a binary one, or with `text` a piece of
 * one UTF-8 text.
 */
export function roomWriter(parts: WriterParts, text: boolean): WritableStream<string | Uint8Array> {
  const decoder = new TextDecoder();
  return new WritableStream({
    async write(chunk) {
      // A chunk may end within a character: the rest of it comes with the next.
      const content = text && typeof chunk !== "string" ? decoder.decode(chunk, { stream: true }) : chunk;
      if (content.length > 0) await write(parts, content);
    },
    async close() {
      const rest = decoder.decode();
      if (rest !== "") await write(parts, rest);
    },
  });
}

async function write({ publish, members }: WriterParts, content: string | Uint8Array): Promise<void> {
  await publish(typeof content === "string" ? Payload.text(content) : Payload.binary(content));
  // No faster than the fastest: a source that outruns everybody would have everybody closed for being slow.
  const pace = members().slice(0, paceMembersMax);
  if (pace.length > 0) await Promise.race(pace.map((member) => member.flushed()));
}
