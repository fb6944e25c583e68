import type { EventEmitter } from "node:events";
import * as ws from "ws";
import { type FrameLimits, FrameParser } from "../../../../src/server/websocket/direct/frameParser.js";
import type { Fault } from "../../../../src/server/websocket/faults.js";
import { type Receiver, unfinishedBytesOf } from "../../../../src/server/websocket/ws/receiver.js";
import type { Message } from "../../../../src/wire/message.js";

/** Reads the bytes of a client, and notes what it finds in them. */
export interface FrameReader {
  /** Messages, pings and pongs with their bytes, a close, a fault: one string for each. */
  readonly outcomes: string[];
  readonly isMidMessage: boolean;
  read(chunk: Buffer): void;
}

const dataOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** The parser of the library. */
export class DirectReader implements FrameReader {
  readonly outcomes: string[] = [];
  readonly #parser: FrameParser;

  /** @param mayRead Whether the parser may go on after an outcome. If not, it is called again for the rest. */
  constructor(limits: FrameLimits, mayRead: () => boolean) {
    const note = (outcome: string) => {
      this.outcomes.push(outcome);
      return mayRead();
    };
    this.#parser = new FrameParser(limits, {
      onMessage: ({ bytes, isText }: Message) => note(`${isText ? "text" : "binary"}:${dataOf(bytes)}`),
      onPing: (data) => note(`ping:${dataOf(data)}`),
      onPong: (data) => note(`pong:${dataOf(data)}`),
      onCloseFrame: (code, reason) => void note(`close:${code}:${reason}`),
      onFault: ([code, phrase]: Fault) => void note(`fault:${code}:${phrase}`),
    });
  }

  get isMidMessage(): boolean {
    return this.#parser.unfinishedBytes !== undefined;
  }

  read(chunk: Buffer): void {
    let rest = chunk;
    for (;;) {
      const next = this.#parser.read(rest);
      if (next === rest.length) return;
      if (next <= 0 || next > rest.length) throw new Error(`the parser has stopped at ${next} of ${rest.length}`);
      rest = rest.subarray(next);
    }
  }
}

/** The parts of ws's receiver that are used here. */
interface WsReceiver extends EventEmitter, Receiver {
  /** Reads at once; without the queue of a stream. */
  _write(chunk: Buffer, encoding: "buffer", callback: (error?: Error) => void): void;
}

interface WsOptions {
  readonly isServer: true;
  readonly allowSynchronousEvents: true;
  readonly maxPayload: number;
  readonly maxFragments: number;
  readonly maxBufferedChunks: number;
}

// @types/ws has no receiver. ws exports it, and the first call fails if it should not any more.
const { Receiver: WsReceiverClass } = ws as unknown as { readonly Receiver: new (options: WsOptions) => WsReceiver };

/** The reasons of the library, by the messages and the codes of the errors of ws. */
const phrases = new Map([
  ["Too many message fragments", "too many fragments"],
  ["Too many buffered chunks", "message in too many pieces"],
  ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "message too big"],
  ["WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH", "message too big"],
  ["WS_ERR_INVALID_UTF8", "text is not UTF-8"],
]);

/** The receiver of ws. */
export class WsReader implements FrameReader {
  readonly outcomes: string[] = [];
  readonly #receiver: WsReceiver;
  #hasEnded = false;

  constructor({ messageBytesMax, fragmentsMax, piecesMax }: FrameLimits) {
    this.#receiver = new WsReceiverClass({
      isServer: true,
      allowSynchronousEvents: true,
      maxPayload: messageBytesMax,
      maxFragments: fragmentsMax,
      maxBufferedChunks: piecesMax,
    });
    const note = (outcome: string) => void this.outcomes.push(outcome);
    this.#receiver
      .on("message", (data: Buffer, isBinary: boolean) => note(`${isBinary ? "binary" : "text"}:${dataOf(data)}`))
      .on("ping", (data: Buffer) => note(`ping:${dataOf(data)}`))
      .on("pong", (data: Buffer) => note(`pong:${dataOf(data)}`))
      .on("conclude", (code: number, reason: Buffer) => this.#end(`close:${code}:${reason}`));
  }

  get isMidMessage(): boolean {
    return !this.#hasEnded && unfinishedBytesOf(this.#receiver) !== undefined;
  }

  /** Whether the first fragments of a message were received, and the last one is missing. */
  get isMidFragments(): boolean {
    return this.#receiver._fragmented !== 0;
  }

  /** After the end, ws's socket gives it nothing more. */
  read(chunk: Buffer): void {
    if (this.#hasEnded) return;
    this.#receiver._write(chunk, "buffer", (error) => {
      if (error !== undefined) this.#end(`fault:${statusOf(error)}:${phraseOf(error)}`);
    });
  }

  #end(outcome: string): void {
    this.#hasEnded = true;
    this.outcomes.push(outcome);
  }
}

/** The code that ws closes with. */
function statusOf(error: Error): unknown {
  const symbol = Object.getOwnPropertySymbols(error).find(({ description }) => description === "status-code");
  // The property is of ws; its value is compared only.
  return symbol && (error as unknown as Record<symbol, unknown>)[symbol];
}

function phraseOf(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  return phrases.get(error.message) ?? phrases.get(code) ?? "protocol error";
}
