import { createHmac, timingSafeEqual } from "node:crypto";
import { type App, type ConnectionRequest, type Extension, HttpError } from "enfilade";
import { admin } from "enfilade/admin";
import { metrics } from "enfilade/metrics";
import client from "prom-client";

/** The path of the admin pages. */
const adminPath = "/admin";

export interface OperationsOptions {
  /**
   * The bearer token of `/health` and `/metrics`, and the password of the admin pages, for any name. Without one, these
   * are not there.
   */
  readonly token: string | undefined;
  /** The secret of the site, the same in all processes. */
  readonly secret: string;
}

/** Adds the parts for operators: `/ready` for a load balancer; figures, metrics and admin pages for operators. */
export function addOperations(app: App, { token, secret }: OperationsOptions): void {
  app.use(ready(app));
  if (token === undefined) return;
  app.use(health(app, token));
  // Each app of this process has metrics of its own.
  const registry = new client.Registry();
  app.use(metrics({ client, registry, authorize: (request) => isEqual(request.token ?? "", token) }));
  app.use(
    admin({
      path: adminPath,
      secret: createHmac("sha256", secret).update("admin").digest("base64url"),
      authorize: (request) => operatorOf(request, token),
    }),
  );
}

/** Whether a request is for the live data of the admin pages, which decide themselves who may have it. */
export function isOfAdmin({ path }: ConnectionRequest): boolean {
  return path.startsWith(`${adminPath}/`);
}

/** The operator who sent this name and the password. A browser asks for them, and then sends them with each request. */
function operatorOf({ headers }: ConnectionRequest, token: string): string {
  const [, encoded = ""] = /^Basic (.+)$/.exec(headers.authorization ?? "") ?? [];
  const [, name = "", password = ""] = /^([^:]+):(.*)$/.exec(Buffer.from(encoded, "base64").toString()) ?? [];
  if (name !== "" && isEqual(password, token)) return name;
  throw new HttpError(401, "", { headers: { "www-authenticate": 'Basic realm="admin"' } });
}

/** Answers 204 if this process can serve clients now, else 503. */
function ready(app: App): Extension {
  return {
    name: "ready",
    path: "/ready",
    onRequest: async () => new Response(null, { status: (await app.health()).ready ? 204 : 503 }),
  };
}

function health(app: App, token: string): Extension {
  return {
    name: "health",
    path: "/health",
    async onRequest(request: ConnectionRequest): Promise<Response> {
      if (!isEqual(request.token ?? "", token)) throw new HttpError(401);
      return Response.json({ ...(await app.health()), status: app.status() });
    },
  };
}

/** Compares in a time that does not depend on the content. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
