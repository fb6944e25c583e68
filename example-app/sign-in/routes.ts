import { randomUUID } from "node:crypto";
import type { App } from "enfilade";
import { json, type NextFunction, type Request, type Response, Router } from "express";
import type { Pages } from "../pages.js";
import { describeProblem, PersonName } from "../text.js";
import type { Attempts } from "./attempts.js";
import { readCookie, writeCookie } from "./cookie.js";
import type { Check, Provider } from "./provider.js";
import type { Person, Sessions } from "./sessions.js";
import type { SignedValue } from "./signedValue.js";

export interface SignInDeps {
  readonly app: App;
  readonly sessions: Sessions;
  readonly attempts: Attempts;
  readonly pages: Pages;
  /** Where people sign in. Default: they only choose a name. */
  readonly provider: Provider | undefined;
  /** Signs what the browser keeps until it returns from the provider. */
  readonly checks: SignedValue;
  /** The URL of this site, such as `https://example.com`. Default: that of the request. */
  readonly publicURL: string | undefined;
}

const checkCookie = "sign-in";
const checkMs = 10 * 60_000;

/** The routes below `/sign-in`, and `/sign-out`. */
export function createSignIn(deps: SignInDeps): Router {
  const { provider, pages } = deps;
  const router = Router();
  router.get("/sign-in", (_request, response) => pages.send(response, provider ? "sign-in-provider" : "sign-in"));
  if (provider === undefined) {
    router.post("/sign-in", limitAttempts(deps), json({ limit: "4kb" }), (request, response) =>
      signInByName(deps, request, response),
    );
  } else {
    router.get("/sign-in/provider", limitAttempts(deps), (request, response) =>
      beginAtProvider(deps, provider, request, response),
    );
    router.get("/sign-in/callback", limitAttempts(deps), (request, response) =>
      returnFromProvider(deps, provider, request, response),
    );
  }
  router.post("/sign-out", (request, response) => signOut(deps, request, response));
  return router;
}

/** Passes on requests of people who are signed in. Others get the sign-in page, or with `/api` the status 401. */
export function requirePerson(sessions: Sessions) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const person = sessions.personOf(request.headers.cookie);
    response.locals.person = person;
    if (person !== undefined) next();
    else if (request.baseUrl === "/api") response.status(401).json({ error: "Sign in first." });
    else response.redirect(303, `/sign-in?${new URLSearchParams({ next: request.originalUrl })}`);
  };
}

/** The person of a request that {@link requirePerson} has passed on. */
export function personOf(response: Response): Person {
  return response.locals.person as Person;
}

function limitAttempts({ attempts }: SignInDeps) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const seconds = attempts.take(request.ip ?? "");
    const error = `Too many attempts. Try again in ${seconds} seconds.`;
    if (seconds === 0) next();
    else response.status(429).set("Retry-After", String(seconds)).json({ error });
  };
}

/** A bad name gets the status 200 as well, because a browser logs each other one as an error in its console. */
function signInByName({ sessions }: SignInDeps, request: Request, response: Response): void {
  const { name: given, next } = Object(request.body) as { name?: unknown; next?: unknown };
  const name = PersonName.safeParse(given);
  if (!name.success) {
    response.json({ error: describeProblem(name.error) });
    return;
  }
  // The id is random: the name of another person gives no access to that person's messages.
  response.set("Set-Cookie", sessions.open({ id: randomUUID(), name: name.data }, request.secure));
  response.json({ next: localPath(next) });
}

async function beginAtProvider(deps: SignInDeps, provider: Provider, request: Request, response: Response) {
  try {
    const { url, check } = await provider.begin(callbackURL(deps, request), localPath(request.query.next));
    response.set("Set-Cookie", writeCheck(deps.checks.sign(check, checkMs), checkMs, request));
    response.redirect(303, url);
  } catch (error) {
    fail(response, error);
  }
}

async function returnFromProvider(deps: SignInDeps, provider: Provider, request: Request, response: Response) {
  const signed = deps.checks.read(readCookie(request.headers.cookie, checkCookie) ?? "");
  try {
    if (signed === undefined) throw new Error("The sign-in was not begun by this browser, or took too long.");
    // Only `beginAtProvider` signs for this purpose.
    const check = signed.value as Check;
    const person = await provider.finish(new URL(request.originalUrl, callbackURL(deps, request)), check);
    const cookies = [deps.sessions.open(person, request.secure), writeCheck("", 0, request)];
    response.set("Set-Cookie", cookies).redirect(303, check.next);
  } catch (error) {
    fail(response, error);
  }
}

async function signOut({ app, sessions }: SignInDeps, request: Request, response: Response): Promise<void> {
  const person = sessions.personOf(request.headers.cookie);
  response.set("Set-Cookie", sessions.close(request.secure));
  // Closes the person's connections in other tabs, on all processes.
  if (person !== undefined) await app.revoke({ user: person });
  response.redirect(303, "/sign-in");
}

function writeCheck(value: string, lifetimeMs: number, { secure: isSecure }: Request): string {
  return writeCookie(checkCookie, value, { path: "/sign-in", maxAgeSeconds: lifetimeMs / 1000, isSecure });
}

function callbackURL({ publicURL }: SignInDeps, { protocol, host }: Request): string {
  return new URL("/sign-in/callback", publicURL ?? `${protocol}://${host}`).href;
}

/** The reason is for the log: the provider and its answer are none of the client's business. */
function fail(response: Response, error: unknown): void {
  console.warn(`a sign-in failed: ${error instanceof Error ? error.message : String(error)}`);
  response.redirect(303, "/sign-in?failed");
}

/** The path, if it leads to a page of this site; else that of the first page. */
function localPath(path: unknown): string {
  const base = "http://site.invalid";
  if (typeof path !== "string" || !URL.canParse(path, base) || !path.startsWith("/")) return "/";
  const url = new URL(path, base);
  return url.origin === base ? url.pathname + url.search : "/";
}
