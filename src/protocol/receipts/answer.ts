import type { EventFailure } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import type { ReplyTarget } from "./frameRecord.js";
import { replyText } from "./reply.js";

const duplicate: EventFailure = { code: "duplicate", message: "this was run already, and its reply is not kept" };

/** The memory of an answer without its texts: the object, and places in tables. */
const answerBytes = 110;
/** The memory of a string without its characters. */
const stringBytes = 24;

/** Stored for a reply without data, which most messages get; its text is written again when it is needed. */
const noData = "";
/** The end of such a reply, and of no other: nested data has another brace behind it. */
const noDataEnd = ',"data":null}';

/** The answer to one frame, until it is forgotten. */
export class Answer {
  /** `undefined` if the reply is not kept. */
  #reply: string | undefined;
  /** The id of the connection that the reply was last sent to. */
  #repliedTo: string;

  constructor(reply: string | undefined, repliedTo: string) {
    this.#reply = reply?.endsWith(noDataEnd) ? noData : reply;
    this.#repliedTo = repliedTo;
  }

  /** The bytes that the answer holds, with its id. */
  bytesWith(id: FrameId): number {
    return answerBytes + (typeof id === "string" ? bytesOf(id) : 0) + this.replyBytes;
  }

  /** The bytes of the stored reply. */
  get replyBytes(): number {
    return this.#reply ? bytesOf(this.#reply) : 0;
  }

  /** The frame was sent again: a connection that has not got the reply gets it. */
  repeatTo(connection: ReplyTarget, id: FrameId): void {
    if (this.#repliedTo === connection.id) return;
    this.#repliedTo = connection.id;
    const reply = this.#reply === noData ? replyText(id, { data: null }) : this.#reply;
    connection.sendFrame(reply ?? duplicateReply(id));
  }

  /** From now on, a repeated frame is answered with `duplicate`. */
  forgetReply(): void {
    this.#reply = undefined;
  }
}

/** The reply to a frame that was run, and whose own reply is not kept. */
export function duplicateReply(id: FrameId): string {
  return replyText(id, { error: duplicate });
}

/** The bytes of a string in memory: two for each character, or one if all of them are below U+0100. */
export function bytesOf(text: string): number {
  return stringBytes + (/[^\0-\xff]/.test(text) ? 2 * text.length : text.length);
}
