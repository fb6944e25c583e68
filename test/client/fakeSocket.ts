import type { SocketEvent, WebSocketConstructor, WebSocketLike } from "../../src/client/index.js";
import { type Frame, Mailbox } from "./scripted.js";

/** A socket without a network. The test emits its events, even after its end. */
export class FakeSocket implements WebSocketLike {
  readonly sent: Frame[] = [];
  readonly closes: (readonly [code: number | undefined, reason: string | undefined])[] = [];
  readonly #listeners: { readonly type: string; readonly listener: (event: SocketEvent) => void }[] = [];

  constructor(
    readonly url: URL,
    readonly subprotocols: readonly string[],
  ) {}

  send(data: string | Uint8Array): void {
    this.sent.push(JSON.parse(String(data)));
  }

  close(code?: number, reason?: string): void {
    this.closes.push([code, reason]);
  }

  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.push({ type, listener });
  }

  tell(type: "message" | "close" | "error", event: Omit<SocketEvent, "type"> = {}): void {
    for (const one of this.#listeners) if (one.type === type) one.listener({ type, ...event });
  }

  frame(frame: object): void {
    this.tell("message", { data: JSON.stringify(frame) });
  }

  welcome(fields: object = {}): void {
    this.frame({ type: "welcome", id: "connection-1", room: "/chat/general", heartbeatMs: 0, ...fields });
  }

  end(code: number, reason = ""): void {
    this.tell("close", { code, reason });
  }
}

export interface FakeSockets {
  readonly WebSocket: WebSocketConstructor;
  readonly made: Mailbox<FakeSocket>;
}

export function fakeSockets(): FakeSockets {
  const made = new Mailbox<FakeSocket>();
  class Made extends FakeSocket {
    constructor(url: string, subprotocols: string[]) {
      super(new URL(url), subprotocols);
      made.put(this);
    }
  }
  return { WebSocket: Made, made };
}
