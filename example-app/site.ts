import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { App } from "enfilade";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { createAPI } from "./api.js";

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

/** Creates the Express app that answers HTTP: the pages, their static files and the API. */
export function createSite(app: App): Express {
  const site = express();
  site.disable("x-powered-by");
  site.use(setSecurityHeaders);
  site.get(["/", "/c/:channel"], (_request, response) => response.sendFile("index.html", { root: publicFolder }));
  site.use(express.static(publicFolder, { index: false }));
  // The published client. A browser loads its modules without a build step.
  site.use("/enfilade", express.static(libraryFolder, { index: false }));
  site.use("/api", createAPI(app));
  // Answers 426 to plain HTTP on the path of a WebSocket.
  site.use(app.requestListener);
  site.use((_request, response) => response.status(404).type("text").send("Page not found."));
  site.use(answerError);
  return site;
}

function setSecurityHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    "Content-Security-Policy": contentSecurityPolicy,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
  });
  next();
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
