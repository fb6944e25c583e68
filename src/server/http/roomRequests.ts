import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Backplane } from "../../backplane/backplane.js";
import type { Refusal } from "../../connection/transport.js";
import { EnfiladeError } from "../../errors.js";
import type { Dialects } from "../../protocol/dialects.js";
import type { Registry } from "../../room/registry.js";
import type { Acceptor } from "../acceptor.js";
import type { SourceFinder } from "../access/proxies.js";
import { messageService, type Service } from "../access/service.js";
import type { Limits } from "../limits.js";
import { refusal, upgradeHeaders } from "../refusal.js";
import type { Destination } from "../router.js";
import { describeRoute, type Route } from "../router.js";
import { AnswerTransport } from "./answerTransport.js";
import { addOriginHeaders, answerOptions, isHiddenPage } from "./crossOrigin.js";
import { EventStreamTransport } from "./eventStreamTransport.js";
import { ExchangeTransport } from "./exchangeTransport.js";
import { FrameStreams } from "./frameStreams.js";
import { messageKindOf, representationOf, wantsStream } from "./mediaTypes.js";
import { answerWithRefusal, headersOf, type PlainRequest, type ResponseWriter } from "./messages.js";
import type { ResponseTransport } from "./responseTransport.js";
import { contentQuery, roomContent } from "./roomContent.js";
import type { RouteHttp } from "./routeHttp.js";
import { contentService, eventStreamService, exchangeService } from "./services.js";

export interface RoomRequestsDeps {
  readonly acceptor: Acceptor;
  readonly dialects: Dialects;
  readonly registry: Registry;
  readonly backplane: Backplane;
  readonly limits: Limits;
  /** Finds the client behind trusted proxies. */
  readonly sourceOf: SourceFinder;
  readonly report: (error: unknown, member: undefined, thrower: string) => void;
}

/** One request to a room of a route with the option `http`. */
interface RoomRequest {
  readonly request: PlainRequest;
  readonly response: ResponseWriter;
  readonly headers: IncomingHttpHeaders;
  readonly found: Destination;
  readonly http: RouteHttp;
}

/** A request as the acceptor takes it; without a service it is refused. */
interface Asked {
  readonly transport: ResponseTransport;
  readonly outcome: Service | Refusal;
}

/** The requests to rooms over plain HTTP (PROTOCOL.md): `GET` reads a room, `POST` sends one message. */
export class RoomRequests {
  readonly #deps: RoomRequestsDeps;
  readonly #eventStream: Service;
  readonly #frameStreams = new FrameStreams();
  readonly #frames: Service;

  constructor(deps: RoomRequestsDeps) {
    this.#deps = deps;
    this.#eventStream = eventStreamService(deps.dialects);
    this.#frames = { ...messageService(deps.dialects), status: 200 };
  }

  answer(request: PlainRequest, response: ResponseWriter, http: RouteHttp, found: Destination): void {
    const headers = headersOf(request);
    const { route } = found.match;
    const { url = "/", socket } = request;
    const peer = { remoteAddress: socket.remoteAddress ?? "", secure: "encrypted" in socket };
    const { host } = this.#deps.sourceOf(headers, { ...peer, host: headers.host });
    const allowed = this.#allowedOrigin(headers.origin, host, route);
    addOriginHeaders(response, allowed, route);
    if (request.method === "OPTIONS") {
      answerOptions(response, methodsOf(http), allowed !== undefined);
      return;
    }
    const key = headers["enfilade-stream"];
    if (request.method === "POST" && typeof key === "string") {
      const isForeign = headers.origin !== undefined && allowed === undefined;
      if (isForeign || isHiddenPage(headers)) answerWithRefusal(request, response, foreignOrigin());
      else this.#frameStreams.receive(key, found.path, request, response);
      return;
    }
    const { transport, outcome } = this.#ask({ request, response, headers, found, http });
    // The compatibility API of http2 has what session middleware reads.
    const raw = request as IncomingMessage;
    const asked = { url, headers, ...peer, raw };
    if ("run" in outcome) this.#deps.acceptor.receive(transport, asked, found, outcome);
    else this.#deps.acceptor.receive(transport, asked, outcome);
  }

  /** The origin of a page that may use the room; `undefined` for another one, and for a request without an origin. */
  #allowedOrigin(origin: string | undefined, host: string | undefined, route: Route): string | undefined {
    try {
      return origin !== undefined && route.allowsOrigin(origin, host) ? origin : undefined;
    } catch (error) {
      // A function of the application. The acceptor calls it again for a client, and refuses it with 500.
      this.#deps.report(error, undefined, `the option origins of ${describeRoute(route)}`);
      return undefined;
    }
  }

  #ask(asked: RoomRequest): Asked {
    const { request, response, headers, http } = asked;
    const { method = "" } = request;
    const refuse = (outcome: Refusal) => ({ transport: new AnswerTransport(request, response), outcome });
    if (isHiddenPage(headers)) return refuse(foreignOrigin());
    if (method === "GET" && headers["enfilade-protocol"] !== undefined) return this.#exchangeFrames(asked);
    if (method === "POST" && http.publish) return this.#send(asked);
    if (method === "GET" && headers["sec-websocket-key"] !== undefined) {
      // A proxy has stripped the upgrade.
      return refuse(refusal("request", 426, "This is a WebSocket", upgradeHeaders));
    }
    const isReadable = method === "GET" ? http.events || http.history : method === "HEAD" && http.history;
    if (isReadable) return this.#read(asked);
    return refuse(refusal("request", 405, "", { allow: methodsOf(http) }));
  }

  #read({ request, response, headers, http }: RoomRequest): Asked {
    // An event stream has no end, so it has no headers alone.
    const readable = request.method === "HEAD" ? { ...http, events: false } : http;
    const representation = representationOf(headers, readable);
    if (representation === "text/event-stream") {
      return { transport: new EventStreamTransport(request, response), outcome: this.#eventStream };
    }
    const transport = new AnswerTransport(request, response);
    if (representation === undefined) return { transport, outcome: refusal("request", 406, acceptHint(readable)) };
    const { dialects, limits } = this.#deps;
    const query = contentQuery(new URL(request.url ?? "/", "http://localhost").searchParams, limits);
    if ("status" in query) return { transport, outcome: query };
    const contentOf = ({ path }: { readonly path: Destination["path"] }) => roomContent(path, query, this.#deps);
    return { transport, outcome: contentService(dialects, transport, contentOf) };
  }

  /** A client that speaks `enfilade.v1`, since it could not open a WebSocket. */
  #exchangeFrames({ request, response, http, found }: RoomRequest): Asked {
    if (http.events && http.publish) {
      return { transport: this.#frameStreams.make(request, response, found.path), outcome: this.#frames };
    }
    const outcome = refusal("request", 426, "This route needs http: { events, publish }", upgradeHeaders);
    return { transport: new AnswerTransport(request, response), outcome };
  }

  #send({ request, response, headers, found }: RoomRequest): Asked {
    const kind = messageKindOf(headers);
    const transport = new ExchangeTransport(request, response, kind !== "binary");
    const key = keyOf(headers);
    const fault =
      bodyFault(headers, kind, found.match.route) ?? (key === "" ? badKey() : undefined) ?? this.#readFault(request);
    return { transport, outcome: fault ?? exchangeService(this.#deps.dialects, transport, key, wantsStream(headers)) };
  }

  /** Middleware before the app may have read the body. */
  #readFault(request: PlainRequest): Refusal | undefined {
    if (!request.readableEnded && !request.readableDidRead) return undefined;
    const hint = "pass the request to app.requestListener before anything that reads bodies, such as express.json()";
    const error = new EnfiladeError("ERR_APP_STATE", `the body of a POST was read before it reached the app; ${hint}`);
    this.#deps.report(error, undefined, "a room over HTTP");
    return refusal("error", 500);
  }
}

function foreignOrigin(): Refusal {
  return refusal("origin", 403, "This origin may not connect");
}

function methodsOf({ events, history, publish }: RouteHttp): string {
  const methods = [events || history ? "GET" : "", history ? "HEAD" : "", publish ? "POST" : "", "OPTIONS"];
  return methods.filter((method) => method !== "").join(", ");
}

function acceptHint({ events, history }: RouteHttp): string {
  const offered = [...(events ? ["text/event-stream"] : []), ...(history ? ["application/json"] : [])];
  return `Accept has to allow ${offered.join(" or ") || "GET"}`;
}

function bodyFault(headers: IncomingHttpHeaders, kind: string | undefined, { limits }: Route): Refusal | undefined {
  const types = "application/json, text/plain or application/octet-stream";
  if (kind === undefined) return refusal("request", 415, `The body has to be ${types}, in UTF-8 and not compressed`);
  const isTooLarge = Number(headers["content-length"] ?? 0) > limits.messageBytesMax;
  return isTooLarge ? refusal("request", 413, `The body has more than ${limits.messageBytesMax} bytes`) : undefined;
}

/** The header `Idempotency-Key`, with or without quotes; `""` if it is not valid. */
function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers["idempotency-key"];
  if (given === undefined) return undefined;
  const [, key = ""] = /^"?([\w-]{16,64})"?$/.exec(String(given)) ?? [];
  return key;
}

function badKey(): Refusal {
  return refusal("request", 400, "Idempotency-Key takes 16 to 64 letters, digits, hyphens or underscores");
}
