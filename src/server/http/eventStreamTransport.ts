import type { TransportOptions } from "../../connection/transport.js";
import { eventBlock } from "../../protocol/http/eventStreamFraming.js";
import { hasEnded } from "./messages.js";
import { ResponseTransport } from "./responseTransport.js";

/** The headers of an event stream. Without them, a proxy may keep events back until it has many, or store them. */
export const eventStreamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
};
/** A comment, which clients ignore. */
export const heartbeat = Buffer.from(":\n\n");
const nothing = new Uint8Array(0);

/** A response that is an event stream (WHATWG HTML, 9.2). The server closes it with an event `close`. */
export class EventStreamTransport extends ResponseTransport {
  override open(options: TransportOptions): boolean {
    if (!super.open(options)) return false;
    const isOverHTTP1 = this.request.httpVersionMajor < 2;
    // The stream ends with the connection, so that its events need no frames of chunked encoding.
    if (isOverHTTP1) this.response.removeHeader("transfer-encoding");
    this.response.writeHead(200, isOverHTTP1 ? { ...eventStreamHeaders, connection: "close" } : eventStreamHeaders);
    return true;
  }

  write(bytes: Uint8Array): void {
    if (this.isOpen) this.response.write(bytes);
  }

  whenWritten(callback: () => void): void {
    if (hasEnded(this.response)) setImmediate(callback);
    else this.response.write(nothing, () => callback());
  }

  /** The client sends nothing back. It is alive if the system has accepted the bytes. */
  ping(): void {
    if (this.isOpen) this.response.write(heartbeat, (error) => error || this.events?.onHeard());
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.events?.onClosing();
    this.endWith(code, reason);
    this.response.end(eventBlock("close", { code, reason }));
  }
}
