import { ABNORMAL } from "../../wire/closeCodes.js";
import type { SocketEvent, WebSocketLike } from "../connection/socket.js";
import { EventBlocks } from "./eventBlocks.js";

export interface StreamSocketDeps {
  readonly fetch: typeof fetch;
  /** Milliseconds after which a WebSocket is tried again. */
  readonly retryMs: number;
  /** Called when no stream could be opened: the server is away, or the room has no plain HTTP. */
  readonly onUnavailable: () => void;
}

type Body = string | Uint8Array<ArrayBuffer>;

/** The characters of frames that are sent in one request, unless a single frame has more. */
const batchLengthMax = 16 * 1024;
const upgradeRequired = 426;
/** The server has not answered the last request yet. */
const conflict = 409;
const tooLarge = 413;
const messageTooBig = 1009;
/** Milliseconds for an answer, until the client asks whether the server has the request; then for that answer. */
const answerMs = 4_000;
/** The bytes of a request that take a millisecond more: a proxy may pass on a whole request only. */
const bytesPerMs = 8;
/** Milliseconds to send what waits when the connection is closed. */
const closeMs = 5_000;

/**
 * A connection of `enfilade.v1` over HTTP, in the form of a WebSocket: frames arrive as an event stream, and are sent
 * in requests, one after another.
 */
export class StreamSocket implements WebSocketLike {
  readonly #url: string;
  readonly #deps: StreamSocketDeps;
  readonly #listeners: [type: string, listener: (event: SocketEvent) => void][] = [];
  readonly #abort = new AbortController();
  #waiting: (string | Uint8Array)[] = [];
  /** For the requests with frames; `undefined` until the server has sent it. */
  #key: string | undefined;
  #isSending = false;
  #onSent: (() => void) | undefined;
  #hasEnded = false;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, subprotocols: readonly string[], deps: StreamSocketDeps) {
    this.#url = url.replace(/^ws/, "http");
    this.#deps = deps;
    this.#read(subprotocols).catch((error: unknown) => {
      if (this.#key === undefined) deps.onUnavailable();
      this.#fail(String(error));
    });
  }

  send(data: string | Uint8Array): void {
    this.#waiting.push(data);
    this.#pump();
  }

  /** As a WebSocket does, sends what waits before it leaves. */
  close(code = 1000, reason = ""): void {
    const isSending = this.#isSending || this.#waiting.length > 0;
    if (this.#hasEnded || this.#key === undefined || !isSending) {
      this.#end(code, reason);
      return;
    }
    this.#closing = setTimeout(() => this.#end(code, reason), closeMs);
    this.#onSent = () => this.#end(code, reason);
  }

  addEventListener(type: "message" | "close" | "error", listener: (event: SocketEvent) => void): void {
    this.#listeners.push([type, listener]);
  }

  async #read(subprotocols: readonly string[]): Promise<void> {
    const headers = { accept: "text/event-stream", "enfilade-protocol": subprotocols.join(", ") };
    const response = await this.#deps.fetch(this.#url, { headers, signal: this.#abort.signal });
    if (response.status === upgradeRequired) {
      // It is no refusal of the client: a WebSocket may work again.
      this.#deps.onUnavailable();
      return this.#fail(`the room has no plain HTTP (426 ${await response.text()})`);
    }
    // In the form in which the WebSocket of `ws` reports the status of a refusal.
    if (!response.ok || !response.body) return this.#fail(`Unexpected server response: ${response.status}`);
    const blocks = new EventBlocks((type, data) => this.#onEvent(type, data));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) blocks.add(part.value);
    this.#end(ABNORMAL, "");
  }

  #onEvent(type: string, data: string): void {
    // After close(), nothing more is received.
    if (this.#hasEnded || this.#onSent !== undefined) return;
    if (type === "message") this.#dispatch({ type, data });
    else if (type === "stream") this.#begin(JSON.parse(data).key);
    else if (type === "close") {
      const { code, reason } = JSON.parse(data);
      this.#end(code, reason);
    }
  }

  #begin(key: string): void {
    this.#key = key;
    this.#pump();
    // The client opens a new connection before it leaves this one, as if the server drained it.
    const drain = { type: "message", data: '{"type":"drain","withinMs":0,"afterMs":0}' };
    this.#retryTimer = setTimeout(() => this.#dispatch(drain), this.#deps.retryMs);
  }

  /** Sends what waits, if no request is on its way. */
  #pump(): void {
    if (this.#isSending || this.#key === undefined || this.#hasEnded || this.#waiting.length === 0) return;
    this.#isSending = true;
    this.#post(this.#key, this.#nextBody())
      .then(() => {
        this.#isSending = false;
        this.#pump();
        if (!this.#isSending) this.#onSent?.();
      })
      // It is not known whether the frames have arrived. The client connects again, and resends what has an id.
      .catch((error: unknown) => this.#fail(String(error)));
  }

  /** Resolves when the server has answered, however late. Rejects if it does not have the request any more. */
  async #post(key: string, body: Body): Promise<void> {
    let isAnswered = false;
    const answer = this.#request(key, body).finally(() => {
      isAnswered = true;
    });
    for (let ms = answerMs + body.length / bytesPerMs; !isAnswered; ms = answerMs) {
      if ((await settled(answer, ms)) !== undefined) continue;
      // The next request waits for the end of the probe: the server takes one at a time.
      const status = await settled(this.#request(key, '{"type":"ping"}'), answerMs);
      if (status !== conflict && !isAnswered) throw new Error("the server does not have the last request");
    }
    const status = await answer;
    if (status === tooLarge) this.#end(messageTooBig, "message too big");
    if (status >= 300) throw new Error(`the server answered ${status}`);
  }

  /** Resolves with the status of the whole answer. */
  async #request(key: string, body: Body): Promise<number> {
    const type = typeof body === "string" ? "text/plain" : "application/octet-stream";
    const headers = { "enfilade-stream": key, "content-type": type };
    const { fetch } = this.#deps;
    const response = await fetch(this.#url, { method: "POST", headers, body, signal: this.#abort.signal });
    // An answer that is not read keeps its connection.
    await response.text();
    return response.status;
  }

  /** Frames, one for each line, or one binary message. */
  #nextBody(): Body {
    const [first = "", ...rest] = this.#waiting;
    this.#waiting = rest;
    if (typeof first !== "string") return new Uint8Array(first);
    let body = first;
    for (let [next] = this.#waiting; typeof next === "string"; [next] = this.#waiting) {
      if (body.length + next.length > batchLengthMax) break;
      body += `\n${next}`;
      this.#waiting.shift();
    }
    return body;
  }

  #fail(message: string): void {
    if (this.#hasEnded) return;
    this.#dispatch({ type: "error", message });
    this.#end(ABNORMAL, "");
  }

  #end(code: number, reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#closing);
    this.#abort.abort();
    // As a WebSocket: the caller of close() gets the event later.
    queueMicrotask(() => this.#dispatch({ type: "close", code, reason }));
  }

  #dispatch(event: SocketEvent): void {
    for (const [type, listener] of this.#listeners) if (type === event.type) listener(event);
  }
}

/** Resolves when `promise` has settled, with its result or its error; or with `undefined` after `ms`. */
function settled(promise: Promise<unknown>, ms: number): Promise<unknown> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    promise.then(resolve, resolve).finally(() => clearTimeout(timer));
  });
}
