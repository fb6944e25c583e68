import type { ConnectionRequest } from "../connection/request.js";
import { HttpError } from "../errors.js";
import { encodePath } from "../wire/path.js";
import { type AuditEntry, auditLine } from "./access/audit.js";
import type { Guard } from "./access/guard.js";
import type { SessionInfo } from "./api.js";
import type { Actions, Body } from "./calls/actions.js";
import type { Queries } from "./calls/queries.js";
import { type Assets, page } from "./http/assets.js";
import { readBody } from "./http/body.js";
import { codeOf, errorResponse, jsonResponse, madeSafe } from "./http/responses.js";
import type { AdminConfig } from "./options.js";

export interface RequestsDeps {
  readonly config: AdminConfig;
  readonly guard: Guard;
  readonly assets: Assets;
  readonly queries: Queries;
  readonly actions: Actions;
  readonly version: string;
  readonly warn: (line: string) => void;
  readonly report: (error: unknown) => void;
}

const apiPrefix = "/api/";
const assetPrefix = "/assets/";

/** Answers the plain requests to the admin: its pages, their files, and calls of its API. */
export class Requests {
  readonly #deps: RequestsDeps;

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
  }

  async answer(request: ConnectionRequest): Promise<Response> {
    try {
      const operator = await this.#deps.guard.operatorOf(request);
      if (typeof operator !== "string") return madeSafe(operator);
      return await this.#answer(request, operator);
    } catch (error) {
      const response = errorResponse(error);
      if (response !== undefined) return response;
      this.#deps.report(error);
      return jsonResponse({ error: { code: "internal", message: "Internal error; see the log of the server" } }, 500);
    }
  }

  #answer(request: ConnectionRequest, operator: string): Promise<Response> {
    const { path } = this.#deps.config;
    const below = path === "/" ? request.path : request.path.slice(path.length);
    const method = request.raw?.method ?? "GET";
    if (below.startsWith(apiPrefix)) return this.#call(request, operator, method, below.slice(apiPrefix.length));
    checkMethod(method, "GET");
    return this.#file(request, below);
  }

  /** The page is at the path of the admin with a slash at its end, since the URLs in it are relative. */
  async #file({ url, headers }: ConnectionRequest, below: string): Promise<Response> {
    const { assets, config } = this.#deps;
    const ifNoneMatch = headers["if-none-match"];
    if (below.startsWith(assetPrefix)) return assets.answer(below.slice(assetPrefix.length), ifNoneMatch);
    if (below !== "" && below !== "/") throw new HttpError(404);
    if (/^[^?#]*\/(?:[?#]|$)/.test(url)) return assets.answer(page, ifNoneMatch);
    throw new HttpError(308, "", { headers: { location: `${encodePath(config.path)}/` } });
  }

  async #call(request: ConnectionRequest, operator: string, method: string, name: string): Promise<Response> {
    const { queries, actions } = this.#deps;
    if (name === "session") {
      checkMethod(method, "GET");
      return jsonResponse(this.#sessionOf(operator));
    }
    if (queries.has(name)) {
      checkMethod(method, "GET");
      return jsonResponse(await queries.call(name, request.query));
    }
    if (name !== "count" && !actions.has(name)) throw new HttpError(404, "There is no such call");
    checkMethod(method, "POST");
    return jsonResponse(await this.#change(request, operator, name));
  }

  async #change(request: ConnectionRequest, operator: string, name: AuditEntry["action"] | "count"): Promise<unknown> {
    const { guard, actions, config } = this.#deps;
    guard.checkChange(request, operator);
    if (request.raw === undefined) throw new HttpError(400, "The call has no body");
    const body = await readBody(request.raw, config.limits.bodyBytesMax);
    if (name === "count") return actions.count(body);
    const audit = (result: string) => this.#audit(request, operator, name, body, result);
    try {
      const result = await actions.call(name, body, operator);
      audit("done");
      return result;
    } catch (error) {
      audit(codeOf(error));
      throw error;
    }
  }

  #audit(request: ConnectionRequest, operator: string, action: AuditEntry["action"], body: Body, result: string): void {
    const { config, warn, report } = this.#deps;
    // The content of a message is not part of the entry.
    const { data: _data, ...rest } = body;
    const { node, onAudit } = config;
    const target = action === "send" ? body.to : rest;
    const entry: AuditEntry = {
      at: Date.now(),
      operator,
      address: request.remoteAddress,
      node,
      action,
      target,
      result,
    };
    if (onAudit === undefined) warn(auditLine(entry));
    // The call has happened already.
    else
      Promise.resolve()
        .then(() => onAudit(entry))
        .catch(report);
  }

  #sessionOf(operator: string): SessionInfo {
    const { config, guard, version } = this.#deps;
    const path = config.path === "/" ? "" : config.path;
    return { operator, csrf: guard.csrfOf(operator), node: config.node, path, version };
  }
}

function checkMethod(method: string, expected: "GET" | "POST"): void {
  if (method === expected || (method === "HEAD" && expected === "GET")) return;
  const allow = expected === "GET" ? "GET, HEAD" : expected;
  throw new HttpError(405, "", { headers: { allow } });
}
