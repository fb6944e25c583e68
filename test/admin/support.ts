import type { SessionInfo } from "../../src/admin/api.js";
import { type AdminOptions, admin } from "../../src/admin/index.js";
import type { Backplane } from "../../src/backplane/index.js";
import { App, type AppOptions, anonymous, type ConnectionRequest, WebSocketHandler } from "../../src/index.js";
import { type RunningApp, start } from "../support/app.js";

/** A room for users: the query names them, such as `?user=ann`. */
export class Chat extends WebSocketHandler {
  override authorize({ query }: ConnectionRequest) {
    const id = query.get("user");
    return id === null ? anonymous : { id };
  }

  override onMessage(text: string) {
    if (text === "fail") throw new Error("the handler failed");
    this.sendTextToThisRoom(text);
  }
}

export const token = "the-token-of-the-operator";
export const secret = "a secret of more than thirty-two characters";
/** The options of an admin whose operator sends {@link token}. */
export const normal: AdminOptions = {
  secret,
  authorize: (request) => request.token === token && { name: "olga" },
};

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** An app with an admin, and calls to it. */
export class AdminApp {
  readonly app: App;
  readonly port: number;
  readonly running: RunningApp;
  #csrf: string | undefined;

  constructor(running: RunningApp) {
    this.running = running;
    this.app = running.app;
    this.port = running.port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A request with the operator's token. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${token}`, ...Object.fromEntries(new Headers(init.headers)) };
    return fetch(`${this.origin}/admin${path}`, { ...init, headers });
  }

  async get<T>(call: string): Promise<T> {
    const response = await this.fetch(`/api/${call}`);
    // The test names the type that the API has for this call.
    const body = (await response.json()) as T;
    if (response.status !== 200) throw new Error(`${call}: ${response.status} ${JSON.stringify(body)}`);
    return body;
  }

  /** A call that changes something, as a page makes it. */
  async post<T = { error: { code: string; message: string } }>(call: string, body: unknown): Promise<Answer<T>> {
    this.#csrf ??= (await this.get<SessionInfo>("session")).csrf;
    const headers = { origin: this.origin, "x-enfilade-csrf": this.#csrf, "content-type": "application/json" };
    const response = await this.fetch(`/api/${call}`, { method: "POST", headers, body: JSON.stringify(body) });
    // As in get().
    return { status: response.status, headers: response.headers, body: (await response.json()) as T };
  }
}

export interface AdminAppOptions {
  readonly admin?: Partial<AdminOptions>;
  readonly app?: AppOptions;
  readonly backplane?: Backplane;
}

/** Starts an app with the routes `/chat/:room` and `/kept/:room`, the latter with history and presence. */
export async function startAdmin({ admin: options, app: appOptions }: AdminAppOptions = {}): Promise<AdminApp> {
  const logger = { warn: () => undefined, error: () => undefined };
  const app = new App({ logger, ...appOptions })
    .route("/chat/:room", Chat, { name: "chat" })
    .route("/kept/:room", Chat, { history: { size: 100 }, presence: "full" })
    .use(admin({ ...normal, ...options }));
  return new AdminApp(await start(app));
}
