import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { tokenPrefix } from "../wire/frames.js";
import type { RoomPath } from "../wire/path.js";

export interface RequestDeps {
  /** The request target as it came, such as `/chat/general?as=ann`. */
  readonly url: string;
  /** The canonical path of it: the room that the connection comes home to. */
  readonly path: RoomPath;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** The request as Node has it, until `authorize` has answered. */
  readonly raw?: IncomingMessage | undefined;
}

/** Headers as two texts; no line break is ever in a name or a value (RFC 9110 5.5). */
class PackedHeaders {
  constructor(
    readonly names: string,
    readonly values: string,
  ) {}

  unpack(): IncomingHttpHeaders {
    const values = this.values.split("\n");
    return Object.fromEntries(this.names.split("\n").map((name, at) => [name, values[at]]));
  }
}

const nameListsMax = 256;
/** Lists of names that came before: most clients send the same, so it is kept once. */
const nameLists = new Map<string, string>();

function shared(names: string): string {
  const known = nameLists.get(names);
  if (known === undefined && nameLists.size < nameListsMax) nameLists.set(names, names);
  return known ?? names;
}

/** The HTTP request that asked for the connection. */
export class ConnectionRequest implements RequestDeps {
  readonly url: string;
  readonly path: RoomPath;
  readonly remoteAddress: string;
  readonly secure: boolean;
  #headers: IncomingHttpHeaders | PackedHeaders;
  #query: URLSearchParams | undefined;
  #web: Request | undefined;
  #token: string | undefined;
  #raw: IncomingMessage | undefined;

  constructor({ url, path, headers, remoteAddress, secure, raw }: RequestDeps) {
    this.url = url;
    this.path = path;
    this.#headers = headers;
    this.remoteAddress = remoteAddress;
    this.secure = secure;
    this.#raw = raw;
  }

  /**
   * The request as Node has it, for session middleware; only until `authorize` has answered, and `undefined` when a client renews
   * its token, or came over a transport of another kind.
   *
   * ```ts
   * await new Promise((resolve) => sessionMiddleware(request.raw, {}, resolve));
   * ```
   */
  get raw(): IncomingMessage | undefined {
    return this.#raw;
  }

  /** @internal Node may free it: it is several times as large as all that is kept of a request. */
  dropRaw(): void {
    this.#raw = undefined;
  }

  /** The headers as Node has them: names in lower case. */
  get headers(): IncomingHttpHeaders {
    if (this.#headers instanceof PackedHeaders) this.#headers = this.#headers.unpack();
    return this.#headers;
  }

  /** @internal Keeps the headers as text until they are asked for again: as an object they are ten times as large. */
  pack(): void {
    const { headers } = this;
    const values = Object.values(headers);
    if (values.length === 0) return;
    // Only `set-cookie`, which no client sends, is a list.
    if (values.every((value) => typeof value === "string")) {
      this.#headers = new PackedHeaders(shared(Object.keys(headers).join("\n")), values.join("\n"));
    }
  }

  /**
   * The credentials of the client, wherever it had room for them: an `Authorization: Bearer` header, or, since a page sets
   * no headers, among the subprotocols (PROTOCOL.md). A client may renew them.
   */
  get token(): string | undefined {
    this.#token ??= tokenOf(this.headers);
    return this.#token;
  }

  /** @internal The same with other credentials. */
  with(token: string): ConnectionRequest {
    const { url, path, headers, remoteAddress, secure } = this;
    const request = new ConnectionRequest({ url, path, headers, remoteAddress, secure });
    request.renew(token);
    return request;
  }

  /** @internal */
  renew(token: string): void {
    this.#token = token;
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

function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "") ?? [];
  if (bearer !== undefined) return bearer;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((one) => one.trim());
  const entry = offered.find((one) => one.startsWith(tokenPrefix));
  return entry === undefined ? undefined : Buffer.from(entry.slice(tokenPrefix.length), "base64url").toString();
}
