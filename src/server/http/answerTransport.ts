import { CloseCode } from "../../wire/closeCodes.js";
import { type ExchangeResponse, responseOfClose } from "./exchangeResponse.js";
import { hasUnreadBody } from "./messages.js";
import { ResponseTransport } from "./responseTransport.js";

/** A client that gets one complete response. */
export class AnswerTransport extends ResponseTransport {
  /** Makes the response when the connection closes. Default: one that has the close code. */
  respond: (code: number, reason: string) => ExchangeResponse = responseOfClose;

  write(_bytes: Uint8Array): void {
    // The response has all that the client gets.
  }

  whenWritten(callback: () => void): void {
    setImmediate(callback);
  }

  /** The client waits for its response. */
  ping(): void {
    this.events?.onHeard();
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    const { status, headers, body } = this.respond(code, reason);
    this.endWith(code, reason);
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
