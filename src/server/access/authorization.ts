import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import type { ConnectionRequest } from "../../connection/request.js";
import type { Refusal } from "../../connection/transport.js";
import { EnfiladeError, HttpError, MessageError } from "../../errors.js";
import type { Reauthorization } from "../../handler/credentialRefresh.js";
import type { AnyHandler, HandlerContext } from "../../handler/handler.js";
import { anonymous, userId } from "../../handler/user.js";
import { validate } from "../../wire/schema.js";
import { busy, refusal, refusalOfResponse } from "../refusal.js";
import type { Route } from "../router.js";

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

/** An `authorize` that did not answer within `authorizeMs`. */
export class AuthorizeTimeout extends Refused {
  constructor() {
    super(busy("Authorization took too long"));
  }
}

/** Whether anybody is to be asked before this handler's connection is opened. */
export function asks({ params, checks }: Route, handler: AnyHandler): boolean {
  return params !== undefined || checks.length > 0 || handler.authorize !== undefined;
}

/**
 * Asks the schema of the parameters, then the scopes from the outermost in, then the handler.
 *
 * @throws Refused, HttpError, or what the application threw (as a rejection).
 */
export async function authorize(
  route: Route,
  handler: AnyHandler,
  context: HandlerContext,
  clock: Clock,
): Promise<void> {
  if ((await within(clock, route.limits.authorizeMs, ask(route, handler, context))) === timeIsUp) {
    throw new AuthorizeTimeout();
  }
}

/**
 * Asks again, for a client that renewed its credentials.
 *
 * @param onTimeout Called when the answer is `busy` since none came within `authorizeMs`.
 * @throws what the application threw, unless it is a refusal (as a rejection).
 */
export async function reauthorize(
  route: Route,
  handler: AnyHandler,
  request: ConnectionRequest,
  clock: Clock,
  onTimeout: () => void,
): Promise<Reauthorization> {
  const asked = { request, user: undefined };
  try {
    const answer = await within(clock, route.limits.authorizeMs, askAll(route, handler, asked));
    if (answer !== timeIsUp) return asked;
    onTimeout();
    return "busy";
  } catch (error) {
    const status =
      error instanceof Refused ? error.refusal.status : error instanceof HttpError ? error.status : undefined;
    if (status === undefined) throw error;
    return status < 500 ? "refused" : "busy";
  }
}

async function ask(route: Route, handler: AnyHandler, context: HandlerContext): Promise<void> {
  if (route.params !== undefined) context.params = await validParams(route.params, context.params);
  await askAll(route, handler, context);
}

/** Whom the scopes and the handler are asked for. */
interface Credentials {
  readonly request: ConnectionRequest;
  user: unknown;
}

async function askAll(route: Route, handler: AnyHandler, asked: Credentials): Promise<void> {
  for (const { owner, authorize } of route.checks) await admit(asked, owner, authorize(asked.request));
  const { name } = route.handlerClass;
  if (handler.authorize !== undefined) await admit(asked, name, handler.authorize(asked.request));
}

async function validParams(schema: NonNullable<Route["params"]>, params: unknown): Promise<unknown> {
  try {
    return await validate(schema, params);
  } catch (error) {
    if (error instanceof MessageError) throw new HttpError(400, "The path has a parameter that is not valid");
    throw error;
  }
}

/** A `Response` of any library: that of an installed undici is not the global one. */
function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === "[object Response]";
}

/** Takes what an `authorize` returned: a refusal, a user, or {@link anonymous}, which changes nothing. */
async function admit(asked: Credentials, owner: string, answer: unknown): Promise<void> {
  const user = await answer;
  if (user === anonymous) return;
  if (isResponse(user)) throw new Refused(await refusalOfResponse(user));
  // A look-up that found nothing, or a forgotten return, must not let anybody in.
  if (!user || user instanceof Error) {
    const came = user instanceof Error ? `a ${user.name}` : user === "" ? "an empty string" : String(user);
    throw new EnfiladeError(
      "ERR_USER",
      `authorize of ${owner} returned ${came}: return a user, or \`anonymous\` to let the client in without one; ` +
        "throw HttpError(401) to refuse",
    );
  }
  // Checked here, where a mistake is still an HTTP answer.
  userId(user);
  asked.user = user;
}
