import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ConnectionRequest } from "../../connection/request.js";
import type { Refusal } from "../../connection/transport.js";
import { describeValue, EnfiladeError } from "../../errors.js";
import { type PathLimits, pathOfTarget, type RoomPath } from "../../wire/path.js";
import type { Acceptor } from "../acceptor.js";
import type { SourceFinder } from "../access/proxies.js";
import type { Shutdown } from "../end/shutdown.js";
import { answerWithRefusal, headersOf, type PlainRequest, type PlainResponse } from "../http/messages.js";
import type { RoomRequests } from "../http/roomRequests.js";
import { busy, isResponse, refusal, refusalOfError, upgradeHeaders } from "../refusal.js";
import type { Destination } from "../router.js";
import type { Extension } from "./extension.js";
import type { Extensions } from "./extensions.js";

export interface PlainRequestsDeps {
  readonly acceptor: Acceptor;
  readonly extensions: Extensions;
  readonly roomRequests: RoomRequests;
  readonly shutdown: Shutdown;
  readonly sourceOf: SourceFinder;
  readonly limits: PathLimits;
  readonly report: (error: unknown, member: undefined, thrower: string) => void;
}

/** The extension that answers a request. */
interface Extended {
  readonly path: RoomPath;
  readonly extension: Extension;
}

/** Answers the requests of an HTTP server that are no upgrades. */
export class PlainRequests {
  readonly #deps: PlainRequestsDeps;

  constructor(deps: PlainRequestsDeps) {
    this.#deps = deps;
  }

  /** Returns true for a target of an extension or of a route. */
  isOwn(target: string): boolean {
    return !("status" in this.#find(target));
  }

  /**
   * Answers a request: by the extension that has its path, else by its room. A room without the option `http` answers
   * with 426. For other paths it calls `next`; without `next` it answers 404 or 400.
   */
  answer(request: PlainRequest, response: PlainResponse, next?: () => void): void {
    const found = this.#find(request.url ?? "/");
    // The compatibility API of http2 has the methods that extensions need.
    if ("extension" in found) void this.#extend(found, request as IncomingMessage, response as ServerResponse);
    else if ("match" in found) this.#answerByRoom(found, request, response);
    else if (next === undefined) answerWithRefusal(request, response, found);
    else next();
  }

  #answerByRoom(found: Destination, request: PlainRequest, response: PlainResponse): void {
    const { http } = found.match.route;
    if (http !== undefined) this.#deps.roomRequests.answer(request, response, http, found);
    else answerWithRefusal(request, response, refusal("request", 426, "This is a WebSocket", upgradeHeaders));
  }

  #find(target: string): Extended | Destination | Refusal {
    const { acceptor, extensions, limits } = this.#deps;
    const found = acceptor.find(target);
    if (extensions.areSilent || ("status" in found && found.status === 400)) return found;
    const path = "status" in found ? pathOfTarget(target, limits) : found.path;
    const extension = extensions.find(path);
    return extension === undefined ? found : { path, extension };
  }

  async #extend({ path, extension }: Extended, raw: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#deps.shutdown.state === "closed")
        answerWithRefusal(raw, response, busy("closing", "The app is closed"));
      else await answerWith(await extension.onRequest?.(this.#requestOf(raw, path), response), response, extension);
    } catch (error) {
      const known = refusalOfError(error);
      if (known === undefined) this.#deps.report(error, undefined, `onRequest of the extension ${extension.name}`);
      if (response.headersSent) response.destroy();
      else answerWithRefusal(raw, response, known ?? refusal("error", 500));
    }
  }

  #requestOf(raw: IncomingMessage, path: RoomPath): ConnectionRequest {
    const { url = "/", socket } = raw;
    const headers = headersOf(raw);
    const peer = { remoteAddress: socket.remoteAddress ?? "", secure: "encrypted" in socket, host: headers.host };
    return new ConnectionRequest({ url, path, headers, ...this.#deps.sourceOf(headers, peer), raw });
  }
}

/**
 * Writes the `Response` of an extension. If `onRequest` returns nothing, it answers by itself.
 *
 * @throws EnfiladeError (as a rejection) `ERR_VALUE` for an answer that cannot be sent.
 */
async function answerWith(answer: unknown, response: ServerResponse, { name }: Extension): Promise<void> {
  // Functions of Node return the response, such as response.end().
  if (answer === undefined || answer === response) return;
  const fail = (mistake: string) => {
    throw new EnfiladeError("ERR_VALUE", `onRequest of the extension ${name} returned ${mistake}`);
  };
  if (!isResponse(answer)) {
    if (!response.headersSent) fail(`${describeValue(answer)}; return a Response or nothing`);
    return;
  }
  const mistake = mistakeOf(answer, response);
  if (mistake !== undefined) fail(mistake);
  await write(answer, response);
}

/** Why a `Response` cannot be sent; `undefined` if it can. */
function mistakeOf({ body, bodyUsed, type }: Response, { headersSent }: ServerResponse): string | undefined {
  if (headersSent) return "a Response, but has written to response already; do one of both";
  if (bodyUsed || body?.locked) return "a Response whose body was sent or read before; create one for each request";
  return type === "error" ? "Response.error(), which has no status; throw an HttpError" : undefined;
}

async function write(answer: Response, response: ServerResponse): Promise<void> {
  const cookies = answer.headers.getSetCookie();
  response.writeHead(answer.status, {
    ...Object.fromEntries(answer.headers),
    ...(cookies.length > 0 && { "set-cookie": cookies }),
  });
  if (answer.body === null) {
    response.end();
    return;
  }
  try {
    await pipeline(Readable.fromWeb(answer.body), response);
  } catch (error) {
    // An error of the body ends the response with it. Without one, the client has disconnected.
    if (response.errored) throw error;
  }
}
