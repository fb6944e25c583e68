import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { inspect } from "node:util";
import { tokenPrefix } from "../wire/frames.js";
import type { RoomPath } from "../wire/path.js";

export interface RequestDeps {
  /** The request target, such as `/chat/general?as=ann`. */
  readonly url: string;
  /** The canonical room path of the target: the home of the connection. */
  readonly path: RoomPath;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
  /** `true` if the request came over TLS. */
  readonly secure: boolean;
  /** The host and the port that the client addressed, if a trusted proxy named them. Default: the header `Host`. */
  readonly host?: string | undefined;
  /** The token of the client. Default: the one in the headers. */
  readonly token?: string | undefined;
  /** Node's own request object, until `authorize` has finished. */
  readonly raw?: IncomingMessage | undefined;
}

/** Headers from the lists that {@link ConnectionRequest.pack} made. */
function unpacked(names: string, values: string): IncomingHttpHeaders {
  const list = values.split("\n");
  return Object.fromEntries(names.split("\n").map((name, at) => [name, list[at]]));
}

const sharedMax = 512;
const sharedLengthMax = 1_024;
/** The names and the values of headers. Many clients send the same, so equal ones share one string. */
const sharedTexts = new Map<string, string>();

function share(text: string): string {
  const known = sharedTexts.get(text);
  const isAdded = known === undefined && sharedTexts.size < sharedMax && text.length <= sharedLengthMax;
  if (isAdded) sharedTexts.set(text, text);
  return known ?? text;
}

/** Headers without credentials. Any other may have some, and a shared text outlives its connection. */
const publicNames = new Set([
  ...["host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-extensions", "origin", "user-agent"],
  ...["accept", "accept-encoding", "accept-language", "cache-control", "pragma", "sec-fetch-dest", "sec-fetch-mode"],
  "sec-fetch-site",
]);
/** A random value that is of no use after the handshake. */
const keyName = "sec-websocket-key";

/**
 * The HTTP request that opens a connection: the argument of `authorize`, and `this.request` in a handler.
 *
 * ```ts
 * authorize({ token }: ConnectionRequest) {
 *   if (token !== "secret") throw new HttpError(401);
 *   return { id: "ann" };
 * }
 * ```
 */
export class ConnectionRequest implements RequestDeps {
  /** The request target as the client sent it, such as `/chat/general?as=ann`. */
  readonly url: string;
  /** The canonical room path of the URL, such as `/chat/general`: the home of the connection. */
  readonly path: RoomPath;
  /**
   * The IP address of the client: the address of the TCP connection, or with the option `trustProxy` the one that a
   * trusted proxy named. `""` if a transport does not know it.
   */
  readonly remoteAddress: string;
  /** `true` if the request came over TLS; with the option `trustProxy`, if it reached a trusted proxy over TLS. */
  readonly secure: boolean;
  readonly #host: string | undefined;
  /** `undefined` while they are packed, separated by line breaks: names and values have none (RFC 9110 5.5). */
  #headers: IncomingHttpHeaders | undefined;
  #names = "";
  #values = "";
  #query: URLSearchParams | undefined;
  #web: Request | undefined;
  #token: string | undefined;
  #raw: IncomingMessage | undefined;

  constructor({ url, path, headers, remoteAddress, secure, host, token, raw }: RequestDeps) {
    this.url = url;
    this.path = path;
    this.#headers = headers;
    this.remoteAddress = remoteAddress;
    this.secure = secure;
    // The header is kept anyway.
    this.#host = host === headers.host ? undefined : host;
    this.#token = token;
    this.#raw = raw;
  }

  /**
   * The request object of Node, for session middleware. Set only until `authorize` has finished; also `undefined` when
   * a client renews its token, and for transports other than WebSocket.
   *
   * ```ts
   * await new Promise((resolve) => sessionMiddleware(request.raw, {}, resolve));
   * ```
   */
  get raw(): IncomingMessage | undefined {
    return this.#raw;
  }

  /**
   * @internal Frees the request of Node, which is several times as large as the rest of this object, and the parsed
   * query, which few handlers read again.
   */
  dropRaw(): void {
    this.#raw = undefined;
    this.#query = undefined;
  }

  /**
   * The host and the port that the client addressed, such as `example.com:8080`: the header `Host`, or with the option
   * `trustProxy` the host that a trusted proxy named; `undefined` if there is none.
   */
  get host(): string | undefined {
    return this.#host ?? this.headers.host;
  }

  /**
   * The headers of the request, as in Node: names in lower case, `headers["user-agent"]`. From `onConnect` on without
   * `sec-websocket-key`, which is of no use after the handshake.
   */
  get headers(): IncomingHttpHeaders {
    this.#headers ??= unpacked(this.#names, this.#values);
    return this.#headers;
  }

  /** @internal Stores the headers as strings until they are read again; an object takes ten times as much memory. */
  pack(): void {
    const { headers } = this;
    let names = "";
    let values = "";
    let isPublic = true;
    for (const name in headers) {
      if (name === keyName) continue;
      const value = headers[name];
      // Only `set-cookie` is an array, and clients do not send it.
      if (typeof value !== "string") return;
      const separator = names === "" ? "" : "\n";
      names += separator + name;
      values += separator + value;
      isPublic &&= publicNames.has(name);
    }
    if (names === "") return;
    this.#names = share(names);
    this.#values = isPublic ? share(values) : values;
    this.#headers = undefined;
  }

  /**
   * The token that the client sent, for `authorize`; `undefined` if it sent none.
   *
   * It is the option `token` of `connect()` of `enfilade/client`. That client sends it among the subprotocols
   * (PROTOCOL.md), since a browser cannot set headers. Another client may send `Authorization: Bearer …`, which takes
   * precedence. When a client renews its token, `authorize` is called again.
   */
  get token(): string | undefined {
    this.#token ??= tokenOf(this.headers);
    return this.#token;
  }

  /** @internal A copy of this request with another token, without `raw`. */
  with(token: string): ConnectionRequest {
    const { url, path, headers, remoteAddress, secure, host } = this;
    return new ConnectionRequest({ url, path, headers, remoteAddress, secure, host, token });
  }

  /** @internal Replaces the token. */
  renew(token: string): void {
    this.#token = token;
  }

  /** The query parameters of the URL: `query.get("as")`. */
  get query(): URLSearchParams {
    const start = this.url.indexOf("?");
    this.#query ??= new URLSearchParams(start === -1 ? "" : this.url.slice(start));
    return this.#query;
  }

  /**
   * This request as a `Request` of the Fetch standard, without a body, for libraries that take one. Made on first use.
   */
  get web(): Request {
    this.#web ??= this.#toWeb();
    return this.#web;
  }

  /** The part of the request that a log may show: no query and no headers, since these hold credentials. */
  toJSON(): { readonly path: string; readonly remoteAddress: string; readonly secure: boolean } {
    const { path, remoteAddress, secure } = this;
    return { path, remoteAddress, secure };
  }

  /** @internal `console.log` shows the same as a log in JSON. */
  [inspect.custom](): object {
    return this.toJSON();
  }

  #toWeb(): Request {
    const headers = new Headers();
    for (const [name, value] of Object.entries(this.headers)) {
      for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
    }
    // Only the origin: a Host header such as `a/b` would change the path of the URL.
    const base = `${this.secure ? "https" : "http"}://${this.host ?? "localhost"}`;
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
