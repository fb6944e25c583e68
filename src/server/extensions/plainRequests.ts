import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ConnectionRequest } from "../../connection/request.js";
import type { Refusal } from "../../connection/transport.js";
import { isInstance } from "../../errors.js";
import { type PathLimits, pathOfTarget, type RoomPath } from "../../wire/path.js";
import type { Acceptor, Destination } from "../acceptor.js";
import type { SourceFinder } from "../access/proxies.js";
import type { Shutdown } from "../end/shutdown.js";
import { busy, refusal, refusalOfError, upgradeHeaders } from "../refusal.js";
import type { Extension } from "./extension.js";
import type { Extensions } from "./extensions.js";

export interface PlainRequestsDeps {
  readonly acceptor: Acceptor;
  readonly extensions: Extensions;
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
   * Answers a request: by the extension that has its path, else with 426 on a path with a route. Else calls `next`;
   * without `next` it answers 404 or 400.
   */
  answer(request: IncomingMessage, response: ServerResponse, next?: () => void): void {
    const found = this.#find(request.url ?? "/");
    if ("extension" in found) void this.#extend(found, request, response);
    else if ("status" in found && next !== undefined) next();
    else send(response, "status" in found ? found : refusal("request", 426, "This is a WebSocket", upgradeHeaders));
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
      if (this.#deps.shutdown.state === "closed") send(response, busy("closing", "The app is closed"));
      else await answerWith(await extension.onRequest?.(this.#requestOf(raw, path), response), response);
    } catch (error) {
      const known = refusalOfError(error);
      if (known === undefined) this.#deps.report(error, undefined, `onRequest of the extension ${extension.name}`);
      if (response.headersSent) response.destroy();
      else send(response, known ?? refusal("error", 500));
    }
  }

  #requestOf(raw: IncomingMessage, path: RoomPath): ConnectionRequest {
    const { url = "/", headers, socket } = raw;
    const peer = { remoteAddress: socket.remoteAddress ?? "", secure: "encrypted" in socket, host: headers.host };
    return new ConnectionRequest({ url, path, headers, ...this.#deps.sourceOf(headers, peer), raw });
  }
}

function send(response: ServerResponse, { status, headers, body }: Refusal): void {
  response.writeHead(status, { ...headers });
  response.end(body);
}

/** Writes the `Response` of an extension. Anything else means that it answers by itself. */
async function answerWith(answer: unknown, response: ServerResponse): Promise<void> {
  if (!isInstance(answer, Response)) return;
  const cookies = answer.headers.getSetCookie();
  response.writeHead(answer.status, {
    ...Object.fromEntries(answer.headers),
    ...(cookies.length > 0 && { "set-cookie": cookies }),
  });
  if (answer.body === null) response.end();
  else await pipeline(Readable.fromWeb(answer.body), response);
}
