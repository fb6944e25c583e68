import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import express, { type Express, type NextFunction, type Request, type Response, Router } from "express";
import { ChannelName, listChannels } from "./corners/chat.js";
import { createOutput, type OutputRunner } from "./corners/output.js";
import type { TodoStore } from "./corners/todoStore.js";
import { createTodos } from "./corners/todos.js";
import { type PageName, pagePaths } from "./pages.js";
import { createSignIn, personOf, requirePerson, type SignInDeps } from "./sign-in/routes.js";
import { describeProblem } from "./text.js";

const publicFolder = fileURLToPath(new URL("public", import.meta.url));
const libraryFolder = dirname(dirname(createRequire(import.meta.url).resolve("enfilade/client")));

/** The browser loads files from this server only, and no text can become a script. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

export interface SiteDeps extends SignInDeps {
  readonly todos: TodoStore;
  readonly output: OutputRunner;
}

/** Creates the Express app that answers HTTP: the pages, their static files, the sign-in and the API. */
export function createSite(deps: SiteDeps): Express {
  const site = express();
  site.disable("x-powered-by");
  site.use(setSecurityHeaders, refuseOtherOrigins);
  site.use(express.static(publicFolder, { index: false }));
  // The published client. A browser loads its modules without a build step.
  site.use("/enfilade", express.static(libraryFolder, { index: false }));
  site.use(createSignIn(deps));
  site.use("/api", requirePerson(deps.sessions), createAPI(deps));
  site.use(createPageRoutes(deps));
  // Answers for the extensions of the app, and for its rooms: 426 if they have no plain HTTP.
  site.use(deps.app.requestListener);
  site.use((_request, response) => response.status(404).type("text").send("Page not found."));
  site.use(answerError);
  return site;
}

function createAPI({ app, todos, output }: SiteDeps): Router {
  const api = Router();
  api.get("/me", (_request, response) => {
    const { id, name } = personOf(response);
    response.json({ id, name });
  });
  api.get("/channels", async (_request, response) => response.json(await listChannels(app)));
  api.get("/channel-problem", (request, response) => {
    const { error } = ChannelName.safeParse(request.query.name);
    response.json(error === undefined ? {} : { error: describeProblem(error) });
  });
  api.get("/status", (_request, response) => response.json(app.status()));
  api.use("/todos", createTodos(app, todos));
  api.use(
    "/output",
    createOutput(output, (response) => personOf(response as Response).name),
  );
  return api;
}

function createPageRoutes({ pages, sessions }: SiteDeps): Router {
  const router = Router();
  // Object.entries has the keys of this object, which is a constant.
  for (const [page, path] of Object.entries(pagePaths) as [PageName, string][]) {
    router.get(path, requirePerson(sessions), (_request, response) => pages.send(response, page));
  }
  router.get("/c/:channel", requirePerson(sessions), (request, response) => {
    const { channel } = request.params;
    if (ChannelName.safeParse(channel).success) pages.send(response, "chat");
    // The list of channels shows the problem of the name.
    else response.redirect(303, `/?${new URLSearchParams({ open: String(channel).slice(0, 500) })}`);
  });
  return router;
}

function setSecurityHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    "Content-Security-Policy": contentSecurityPolicy,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
  });
  next();
}

/** Refuses changes that a page of another origin asks for, such as a form that signs a user out. */
function refuseOtherOrigins({ method, headers }: Request, response: Response, next: NextFunction): void {
  const site = headers["sec-fetch-site"] ?? "none";
  if (method === "GET" || method === "HEAD" || site === "same-origin" || site === "none") next();
  else response.status(403).json({ error: "This request is allowed from pages of this site only." });
}

/** Express recognises an error handler by its four parameters. */
function answerError(error: unknown, _request: Request, response: Response, _next: NextFunction): void {
  const status = statusOf(error);
  if (status >= 500) console.error(error);
  response.status(status).json({ error: status < 500 ? "The request cannot be read." : "The server failed." });
}

function statusOf(error: unknown): number {
  const status = typeof error === "object" && error !== null && "status" in error ? error.status : undefined;
  return typeof status === "number" && status >= 400 && status < 500 ? status : 500;
}
