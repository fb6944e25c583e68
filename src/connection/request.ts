import type { IncomingHttpHeaders } from "node:http";
import type { RoomPath } from "../wire/path.js";

export interface RequestParts {
  /** The request target as it came, such as `/chat/general?as=ann`. */
  readonly url: string;
  /** The canonical path of it: the room that the connection comes home to. */
  readonly path: RoomPath;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
}

/** The HTTP request that asked for the connection. */
export class ConnectionRequest implements RequestParts {
  readonly url: string;
  readonly path: RoomPath;
  readonly remoteAddress: string;
  readonly secure: boolean;
  #headers: IncomingHttpHeaders | string;
  #query: URLSearchParams | undefined;
  #web: Request | undefined;

  constructor({ url, path, headers, remoteAddress, secure }: RequestParts) {
    this.url = url;
    this.path = path;
    this.#headers = headers;
    this.remoteAddress = remoteAddress;
    this.secure = secure;
  }

  /** The headers as Node has them: names in lower case. */
  get headers(): IncomingHttpHeaders {
    if (typeof this.#headers === "string") this.#headers = JSON.parse(this.#headers) as IncomingHttpHeaders;
    return this.#headers;
  }

  /** @internal Keeps the headers as one string until they are asked for again: as an object they are ten times as large. */
  pack(): void {
    this.#headers = JSON.stringify(this.headers);
  }

  get query(): URLSearchParams {
    const start = this.url.indexOf("?");
    this.#query ??= new URLSearchParams(start === -1 ? "" : this.url.slice(start));
    return this.#query;
  }

  /** The same request in the form of the Fetch standard, for libraries that take one; made when first asked for. */
  get web(): Request {
    this.#web ??= this.#toWeb();
    return this.#web;
  }

  #toWeb(): Request {
    const headers = new Headers();
    for (const [name, value] of Object.entries(this.headers)) {
      for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
    }
    // Only the host of the Host header: with more in it, it would stand before the path and change what the path is.
    const base = `${this.secure ? "https" : "http"}://${this.headers.host ?? "localhost"}`;
    const { origin } = new URL(URL.canParse(base) ? base : "http://localhost");
    return new Request(origin + this.url, { headers });
  }
}
