import {
  App,
  type AppOptions,
  type Authorized,
  anonymous,
  type ConnectionRequest,
  EventHandler,
  HttpError,
  type RouteOptions,
} from "../../../src/index.js";
import { type RunningApp, start } from "../../support/app.js";

interface User {
  readonly id: string;
  readonly token: string;
}

/** A handler whose client decides what it does. Its token begins with the id of its user; the query can refuse it. */
export class Chat extends EventHandler<object, User | undefined> {
  static events = {
    say: "onSay",
    mine: "onMine",
    others: "onOthers",
    who: "onWho",
    join: "onJoin",
    leave: "onLeave",
    to: "onTo",
    end: "onEnd",
  };

  override authorize({ query, token }: ConnectionRequest): Authorized<User | undefined> {
    const status = query.get("refuse");
    if (status !== null) throw new HttpError(Number(status), query.get("why") ?? undefined);
    if (token === "nobody") throw new HttpError(401, "who are you");
    return token === undefined ? anonymous : { id: token.split(".")[0] ?? "", token };
  }
  onSay(data: unknown) {
    this.sendJSONToThisRoom(data);
  }
  onMine(data: unknown) {
    this.sendJSON(data);
  }
  onOthers(data: unknown) {
    this.sendJSONToThisRoom(data, { except: this });
  }
  onWho() {
    const { request, user, params } = this;
    return {
      path: request.path,
      url: request.url,
      agent: request.headers["x-agent"],
      address: request.remoteAddress,
      as: request.query.get("as"),
      user: user?.token,
      params,
    };
  }
  async onJoin(path: string) {
    await this.join(path);
    return this.rooms.length;
  }
  onLeave(path: string) {
    this.leave(path);
    return this.rooms.length;
  }
  onTo([path, data]: readonly [string, unknown]) {
    this.sendJSONToRoom(path, data);
  }
  onEnd([code, reason]: readonly [number, string]) {
    this.close(code, reason);
  }
  onBinary(bytes: Uint8Array) {
    this.sendBinary(bytes.map((byte) => byte + 1));
  }
}

/** The log would report what the tests do on purpose. */
export const silent = { warn: () => undefined, error: () => undefined };

export function startChat(options: AppOptions = {}, route: RouteOptions = {}): Promise<RunningApp> {
  return start(new App({ logger: silent, ...options }).route("/chat/:channel", Chat, route));
}
