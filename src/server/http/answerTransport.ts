import { CloseCode } from "../../wire/closeCodes.js";
import { eventStreamHeaders, heartbeat } from "./eventStreamTransport.js";
import { type ExchangeResponse, responseOfClose } from "./exchangeResponse.js";
import { hasEnded, hasUnreadBody } from "./messages.js";
import { ResponseTransport } from "./responseTransport.js";

const nothing = new Uint8Array(0);

/** A client that gets one complete response, or a stream of items and then its end. */
export class AnswerTransport extends ResponseTransport {
  /** Makes the response when the connection closes. Default: one that has the close code. */
  respond: (code: number, reason: string) => ExchangeResponse = responseOfClose;

  #isStreaming = false;

  /** Begins the response: from now on, what is written is sent at once. The body of {@link respond} is its end. */
  beginStream(): void {
    if (!this.isOpen) return;
    this.#isStreaming = true;
    if (hasUnreadBody(this.request)) this.response.setHeader("connection", "close");
    this.response.writeHead(200, eventStreamHeaders);
    this.response.write(nothing);
  }

  /** Without a stream, the response has all that the client gets. */
  write(bytes: Uint8Array): void {
    if (this.#isStreaming && this.isOpen) this.response.write(bytes);
  }

  whenWritten(callback: () => void): void {
    if (!this.#isStreaming || hasEnded(this.response)) setImmediate(callback);
    else this.response.write(nothing, () => callback());
  }

  /** The client waits for its response, or reads it: it is alive if the system has accepted the bytes. */
  ping(): void {
    if (!this.#isStreaming) this.events?.onHeard();
    else if (this.isOpen) this.response.write(heartbeat, (error) => error || this.events?.onHeard());
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    const { status, headers, body } = this.respond(code, reason);
    this.endWith(code, reason);
    if (this.#isStreaming) {
      this.response.end(body);
      return;
    }
    const length = status === 204 ? {} : { "content-length": Buffer.byteLength(body) };
    if (hasUnreadBody(this.request)) this.response.setHeader("connection", "close");
    this.response.writeHead(status, { ...headers, ...length, "cache-control": "no-store" });
    this.response.end(body);
  }

  /** The time for the response is over: the client gets the reason, if it can still get anything. */
  override destroy(): void {
    if (this.isOpen) this.close(CloseCode.goingAway, "took too long");
    else super.destroy();
  }
}
