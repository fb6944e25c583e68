import type { Receipt } from "../../wire/message.js";
import type { FrameReceipt } from "../receipts/frameReceipt.js";
import type { ClientStream } from "./clientStream.js";
import type { RequestFrame } from "./requestFrame.js";

/** The receipt of a frame that asks for a stream: a stream is answered when it ends, not when its method returns. */
export class StreamReceipt implements Receipt {
  readonly #receipt: FrameReceipt;
  readonly #stream: ClientStream;
  readonly #frame: RequestFrame;

  constructor(receipt: FrameReceipt, stream: ClientStream, frame: RequestFrame) {
    this.#receipt = receipt;
    this.#stream = stream;
    this.#frame = frame;
  }

  get key(): string {
    return this.#receipt.key;
  }

  begin(): boolean | Promise<boolean> {
    // It was canceled while it waited for its handler, or the handler of another connection has it.
    if (this.#stream.isOver || this.#receipt.hasBegun) return false;
    const begun = this.#receipt.begin();
    if (typeof begun === "boolean") return this.#dropUnless(begun);
    return begun.then((isBegun) => this.#dropUnless(isBegun));
  }

  settle(hasFailed = false): void {
    if (this.#stream.isStreaming) {
      this.#frame.onCurrent(undefined);
      return;
    }
    this.#receipt.settle(hasFailed);
    this.#stream.drop();
  }

  #dropUnless(isBegun: boolean): boolean {
    if (!isBegun) this.#stream.drop();
    return isBegun;
  }
}
