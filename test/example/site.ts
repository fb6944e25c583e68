import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createExample, type ExampleOptions } from "../../example-app/example.js";
import type { Sessions } from "../../example-app/sign-in/sessions.js";
import { connectURL, type TestClient } from "../../src/testing/index.js";

/** A person with a session. */
export interface Visitor {
  readonly id: string;
  readonly name: string;
  /** The value of the cookie `session`. */
  readonly session: string;
}

/** The example, running in this process. */
export interface Site {
  /** `http://localhost:…`, without a slash at the end. */
  readonly url: string;
  /** Signs a person in, without the page for it. */
  visitor(name: string): Visitor;
  /** Connects a plain client of a person. */
  connect(path: string, who: Visitor): Promise<TestClient>;
  /** Sends a request of a person to the API, with a body in JSON. */
  call(who: Visitor, method: string, path: string, body?: unknown): Promise<Response>;
  stop(): Promise<void>;
}

export async function startSite(options: ExampleOptions = {}, port = 0): Promise<Site> {
  const { app, server, sessions } = createExample(options);
  server.listen(port);
  await once(server, "listening");
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    server.close();
    await app.close({ timeoutMs: 1000 });
    server.closeAllConnections();
  };
  return {
    url,
    visitor: (name) => visitorOf(sessions, name),
    connect: (path, { session }) => connectWith(url, path, session),
    call: (who, method, path, body) => callWith(url, who.session, method, path, body),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** A new person with a session of these sessions. */
export function visitorOf(sessions: Sessions, name: string): Visitor {
  const id = randomUUID();
  const session = /session=([^;]*)/.exec(sessions.open({ id, name }))?.[1] ?? "";
  return { id, name, session };
}

export function connectWith(url: string, path: string, session: string): Promise<TestClient> {
  return connectURL(url.replace("http", "ws") + path, { headers: { cookie: `session=${session}` } });
}

export function callWith(url: string, session: string, method: string, path: string, body?: unknown) {
  const headers = { cookie: `session=${session}`, "content-type": "application/json" };
  return fetch(`${url}/api${path}`, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
}

/** Reads messages until one fits. */
export async function readUntil(client: TestClient, fits: (message: unknown) => boolean): Promise<unknown> {
  for (;;) {
    const message = await client.readJSON();
    if (fits(message)) return message;
  }
}
