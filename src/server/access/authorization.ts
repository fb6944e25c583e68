import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import type { ConnectionRequest } from "../../connection/request.js";
import type { Refusal } from "../../connection/transport.js";
import { EnfiladeError, isInstance, MessageError } from "../../errors.js";
import type { HandlerContext } from "../../handler/context.js";
import type { AnyHandler } from "../../handler/handler.js";
import type { Reauthorization } from "../../handler/session/credentialRefresh.js";
import { anonymous, userId } from "../../handler/user.js";
import { validate } from "../../wire/schema.js";
import { busy, isResponse, refusal, refusalOfError, refusalOfResponse } from "../refusal.js";
import type { Route } from "../router.js";

/** Thrown to refuse a client with a given answer. */
export class RefusedError extends Error {
  constructor(readonly refusal: Refusal) {
    super(`refused with ${refusal.status}`);
  }
}

/** Thrown when the origin of a page is not allowed. */
export class ForeignOriginError extends RefusedError {
  constructor(readonly origin: string) {
    super(refusal("origin", 403, "This origin may not connect"));
  }
}

/** Thrown when the parameters of a path do not fit the schema of its route. `issues` are for the log. */
export class InvalidParamsError extends RefusedError {
  constructor(readonly issues: string) {
    super(refusal("params", 400, "A parameter of the path is not valid"));
  }
}

/** Thrown when `authorize` did not settle within `authorizeMs`. */
export class AuthorizeTimeoutError extends RefusedError {
  constructor() {
    super(busy("timeout", "Authorization took too long"));
  }
}

/** Returns true if the connection needs a check first: of its parameters, or by an `authorize`. */
export function hasChecks({ params, checks }: Route, handler: AnyHandler): boolean {
  return params !== undefined || checks.length > 0 || handler.authorize !== undefined;
}

/** Calls `authorize`, at most `authorizeMax` calls at the same time. */
export class Authorizer {
  readonly #clock: Clock;
  readonly #callsMax: number;
  /** The calls that have neither settled nor taken longer than `authorizeMs`. */
  #calls = 0;

  constructor(clock: Clock, callsMax: number) {
    this.#clock = clock;
    this.#callsMax = callsMax;
  }

  /**
   * Checks the parameters by their schema, then calls `authorize` of the app, of the scopes from the outermost in, and
   * of the handler. Stores the parameters and the user in `context`.
   *
   * Rejects with a `RefusedError`, an `HttpError`, or any error that the application threw.
   */
  async authorize(route: Route, handler: AnyHandler, context: HandlerContext): Promise<void> {
    if (this.#calls >= this.#callsMax) throw new RefusedError(busy("handshakes", "Too many handshakes at once", 1));
    const answer = await this.#within(route, () => runChecks(route, handler, context));
    if (answer === timeIsUp) throw new AuthorizeTimeoutError();
  }

  /**
   * Calls every `authorize` again, for a client that renews its credentials.
   *
   * Rejects with any error of the application that is not a refusal.
   *
   * @param onTimeout Called when `authorize` did not settle within `authorizeMs`; the result is then `"busy"`.
   */
  async reauthorize(
    route: Route,
    handler: AnyHandler,
    request: ConnectionRequest,
    onTimeout: () => void,
  ): Promise<Reauthorization> {
    if (this.#calls >= this.#callsMax) return "busy";
    const credentials = { request, user: undefined };
    try {
      const answer = await this.#within(route, () => authorizeAll(route, handler, credentials));
      if (answer !== timeIsUp) return credentials;
      onTimeout();
      return "busy";
    } catch (error) {
      const refused = isInstance(error, RefusedError) ? error.refusal : refusalOfError(error);
      if (refused === undefined) throw error;
      return refused.status < 500 ? "refused" : "busy";
    }
  }

  async #within(route: Route, call: () => Promise<void>): Promise<unknown> {
    this.#calls += 1;
    try {
      return await within(this.#clock, route.limits.authorizeMs, call());
    } finally {
      this.#calls -= 1;
    }
  }
}

async function runChecks(route: Route, handler: AnyHandler, context: HandlerContext): Promise<void> {
  if (route.params !== undefined) context.params = await validParams(route.params, context.params);
  await authorizeAll(route, handler, context);
}

/** The request to authorize, and the user that `authorize` returned last. */
interface Credentials {
  readonly request: ConnectionRequest;
  user: unknown;
}

async function authorizeAll(route: Route, handler: AnyHandler, credentials: Credentials): Promise<void> {
  const { request } = credentials;
  for (const { owner, authorize } of route.checks) await applyAnswer(credentials, owner, authorize(request));
  const { name } = route.handlerClass;
  if (handler.authorize !== undefined) await applyAnswer(credentials, name, handler.authorize(request));
}

async function validParams(schema: NonNullable<Route["params"]>, params: unknown): Promise<unknown> {
  try {
    return await validate(schema, params);
  } catch (error) {
    if (isInstance(error, MessageError)) throw new InvalidParamsError(error.message);
    throw error;
  }
}

/** Applies the result of an `authorize`: a `Response` refuses, a user is stored, {@link anonymous} changes nothing. */
async function applyAnswer(credentials: Credentials, owner: string, answer: unknown): Promise<void> {
  const user = await answer;
  if (user === anonymous) return;
  if (isResponse(user)) throw new RefusedError(await refusalOfResponse(user));
  // A lookup that found no user, or a missing return statement, must not accept the client.
  if (!user || user instanceof Error) {
    const came = user instanceof Error ? `a ${user.name}` : user === "" ? "an empty string" : String(user);
    throw new EnfiladeError(
      "ERR_USER",
      `authorize of ${owner} returned ${came}: return a user, or \`anonymous\` to accept the client without one; ` +
        "throw HttpError(401) to refuse",
    );
  }
  // Throws for an invalid id. Checked here, where an error can still be answered by HTTP.
  userId(user);
  credentials.user = user;
}
