import { type CloseInfo, ConnectionError } from "../../src/errors.js";

/** A WebSocket client that is not part of this library. */
export interface ForeignClient {
  readonly name: string;
  /** Whether it reports the status of a refusal; the API of browsers does not. */
  readonly showsStatus: boolean;
  /** @throws Refusal when the server refuses. */
  connect(url: string, protocols?: readonly string[]): Promise<Conversation>;
}

export interface Conversation {
  /** The agreed subprotocol, or `""`. */
  readonly protocol: string;
  readonly inbox: Inbox;
  sendText(text: string): void;
  sendBinary(bytes: Uint8Array): void;
  /** Resolves when its ping was answered; absent for clients that cannot ping, such as browsers. */
  ping?(): Promise<unknown>;
  close(): void;
}

export class Refusal extends Error {
  constructor(readonly status: number | undefined) {
    super(`refused with ${status ?? "a status that is not shown"}`);
  }
}

export type Closing = Pick<CloseInfo, "code" | "reason">;

/** The messages of a client in order. Reading waits for the next one. */
export class Inbox {
  readonly closed: Promise<Closing>;
  readonly #messages: (string | Uint8Array)[] = [];
  #ending: Closing | undefined;
  #close: (closing: Closing) => void = () => undefined;
  #wake: () => void = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  put(message: string | Uint8Array): void {
    this.#messages.push(message);
    this.#wake();
  }

  end(closing: Closing): void {
    this.#ending = closing;
    this.#close(closing);
    this.#wake();
  }

  async next(): Promise<string | Uint8Array> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#ending !== undefined) throw new ConnectionError({ ...this.#ending, isClean: false, by: "server" });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async nextJSON(): Promise<unknown> {
    return JSON.parse(String(await this.next()));
  }
}
