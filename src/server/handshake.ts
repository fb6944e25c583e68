import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Clock, timeIsUp, within } from "../connection/clock.js";
import type { Lifetime } from "../connection/lifetime.js";
import { ConnectionRequest } from "../connection/request.js";
import { EnfiladeError, HttpError, MessageError } from "../errors.js";
import { type AnyHandler, bind, type HandlerConfig, type HandlerContext, userId } from "../handler/handler.js";
import type { Reauthorization } from "../handler/v1.js";
import type { RoomPath } from "../wire/path.js";
import { validate } from "../wire/schema.js";
import { newId } from "./identity.js";
import { type Refusal, refusal, refusalOfResponse, upgradeHeaders } from "./refusal.js";
import type { Match, Route } from "./router.js";

const noRooms: readonly RoomPath[] = [];

/** An upgrade request that a route was found for. */
export interface Upgrade {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly match: Match;
  readonly request: ConnectionRequest;
  readonly lifetime: Lifetime;
}

/** A handler and the context it is bound to. */
export interface PreparedHandler {
  readonly handler: AnyHandler;
  readonly context: HandlerContext;
}

/** A refusal on its way from where it is decided to where it is answered. */
export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(`refused with ${refusal.status}`);
  }
}

/** A page of an origin that may not connect. */
export class ForeignOrigin extends Refused {
  constructor(readonly origin: string) {
    super(refusal(403, "This origin may not connect"));
  }
}

/**
 * Makes the handler of an arrival, unless the request alone is reason to refuse it.
 *
 * @throws Refused, or whatever the constructor threw.
 */
export function prepare({ incoming, match, request, lifetime }: Upgrade, config: HandlerConfig): PreparedHandler {
  const { headers } = incoming;
  const { route, params } = match;
  const fault = handshakeFault(incoming);
  if (fault !== undefined) throw new Refused(fault);
  if (!route.allowsOrigin(headers.origin, headers.host)) throw new ForeignOrigin(headers.origin ?? "");
  const handler = new route.handlerClass();
  const context: HandlerContext = {
    id: newId(),
    config,
    request,
    lifetime,
    params,
    user: undefined,
    connection: undefined,
    leftRooms: noRooms,
  };
  bind(handler, context);
  return { handler, context };
}

/** Whether anybody is to be asked before this handler's connection is opened. */
export function asks({ params, checks }: Route, handler: AnyHandler): boolean {
  return params !== undefined || checks.length > 0 || handler.authorize !== undefined;
}

/**
 * Asks the schema of the parameters, then the scopes from the outermost in, then the handler.
 *
 * @throws Refused, HttpError, or whatever the application threw (as a rejection).
 */
export async function authorize(route: Route, { handler, context }: PreparedHandler, clock: Clock): Promise<void> {
  if ((await within(clock, route.limits.authorizeMs, ask(route, handler, context))) === timeIsUp) {
    throw new Refused(busy("Authorization took too long"));
  }
}

/**
 * Asks again, for a client that renewed its credentials.
 *
 * @throws whatever the application threw that is no refusal (as a rejection).
 */
export async function reauthorize(
  route: Route,
  handler: AnyHandler,
  request: ConnectionRequest,
  clock: Clock,
): Promise<Reauthorization> {
  const guest = { request, user: undefined };
  try {
    const answer = await within(clock, route.limits.authorizeMs, admitThrough(route, handler, guest));
    return answer === timeIsUp ? "busy" : guest;
  } catch (error) {
    const status =
      error instanceof Refused ? error.refusal.status : error instanceof HttpError ? error.status : undefined;
    if (status === undefined) throw error;
    return status < 500 ? "refused" : "busy";
  }
}

/** What makes a request no handshake of RFC 6455 4.2.1, said before any hook is asked. */
function handshakeFault({ method, headers }: IncomingMessage): Refusal | undefined {
  if (method !== "GET") return refusal(405, "", { allow: "GET" });
  if (!/^[+/\dA-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")) return refusal(400, "No Sec-WebSocket-Key");
  if (headers["sec-websocket-version"] === "13") return undefined;
  // RFC 6455 4.4: the answer names the version that is spoken.
  return refusal(426, "", { ...upgradeHeaders, "sec-websocket-version": "13" });
}

/** The request of an upgrade; only what is needed of it, so that Node may let the rest go. */
export function requestOf({ url = "/", headers, socket }: IncomingMessage, path: RoomPath): ConnectionRequest {
  const remoteAddress = socket.remoteAddress ?? "";
  return new ConnectionRequest({ url, path, headers, remoteAddress, secure: "encrypted" in socket });
}

/** A refusal that a client may come back after. */
export function busy(text: string): Refusal {
  return refusal(503, text, { "retry-after": "5" });
}

async function ask(route: Route, handler: AnyHandler, context: HandlerContext): Promise<void> {
  if (route.params !== undefined) context.params = await validParams(route.params, context.params);
  await admitThrough(route, handler, context);
}

/** Whom the scopes and the handler are asked for. */
interface Credentials {
  readonly request: ConnectionRequest;
  user: unknown;
}

async function admitThrough(route: Route, handler: AnyHandler, visitor: Credentials): Promise<void> {
  for (const gate of route.checks) await admit(visitor, "a scope", gate(visitor.request));
  const { name } = route.handlerClass;
  if (handler.authorize !== undefined) await admit(visitor, name, handler.authorize(visitor.request));
}

async function validParams(schema: NonNullable<Route["params"]>, params: unknown): Promise<unknown> {
  try {
    return await validate(schema, params);
  } catch (error) {
    if (error instanceof MessageError) throw new HttpError(400, "The path has a parameter that is not valid");
    throw error;
  }
}

/** A `Response` of whatever origin: that of an installed undici is not the global one. */
function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === "[object Response]";
}

/** Takes what an `authorize` returned: a refusal, a user, or nothing, which changes nothing. */
async function admit(visitor: Credentials, whose: string, answer: unknown): Promise<void> {
  const user = await answer;
  if (isResponse(user)) throw new Refused(await refusalOfResponse(user));
  if (user === undefined) return;
  if (user === null || user === false || user instanceof Error) {
    const came = user instanceof Error ? `a ${user.name}` : String(user);
    throw new EnfiladeError(
      "ERR_USER",
      `authorize of ${whose} returned ${came}: to refuse, throw HttpError(401); to let an anonymous client in, return nothing`,
    );
  }
  // Checked here, where a mistake is still an HTTP answer.
  userId(user);
  visitor.user = user;
}
