import { timingSafeEqual } from "node:crypto";
import { type App, type ConnectionRequest, type Extension, type ExtensionHost, HttpError } from "enfilade";

/**
 * Adds the parts for operators: `/ready` for a load balancer, and `/health` with figures for holders of the token.
 *
 * @param token The bearer token of `/health`. Without one, `/health` is not there.
 */
export function addOperations(app: App, token: string | undefined): void {
  app.use(ready());
  if (token !== undefined) app.use(health(token));
}

/** Answers 204 if this process can serve clients now, else 503. */
function ready(): Extension {
  let host: ExtensionHost | undefined;
  return {
    name: "ready",
    path: "/ready",
    install(app) {
      host = app;
    },
    onRequest: async () => new Response(null, { status: (await host?.health())?.ready ? 204 : 503 }),
  };
}

function health(token: string): Extension {
  let host: ExtensionHost | undefined;
  return {
    name: "health",
    path: "/health",
    install(app) {
      host = app;
    },
    async onRequest(request: ConnectionRequest): Promise<Response> {
      if (!isEqual(request.token ?? "", token)) throw new HttpError(401);
      return Response.json({ ...(await host?.health()), status: host?.status() });
    },
  };
}

/** Compares in a time that does not depend on the content. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
