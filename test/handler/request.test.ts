import { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { anonymous, type ConnectionRequest, HttpError, WebSocketHandler } from "../../src/index.js";
import { Mailbox, startWith } from "../support/app.js";

interface Session {
  readonly user: string;
}

const sessions = new Map<string, Session>([["abc", { user: "ann" }]]);

/** A middleware like express-session: it sets its result on the request after some time. */
function sessionMiddleware(
  request: IncomingMessage & { session?: Session },
  _response: object,
  next: () => void,
): void {
  const [, id = ""] = /sid=(\w+)/.exec(request.headers.cookie ?? "") ?? [];
  setImmediate(() => {
    const session = sessions.get(id);
    if (session !== undefined) request.session = session;
    next();
  });
}

describe("request.raw", () => {
  it("is the request for session middleware during authorize", async () => {
    class Private extends WebSocketHandler<object, { id: string }> {
      override async authorize({ raw }: ConnectionRequest) {
        if (raw === undefined) throw new Error("there is one during authorize");
        const request: IncomingMessage & { session?: Session } = raw;
        await new Promise<void>((resolve) => sessionMiddleware(request, {}, resolve));
        if (request.session === undefined) throw new HttpError(401);
        return { id: request.session.user };
      }
      override onConnect() {
        this.sendText(this.user.id);
      }
      onMessage() {
        this.close();
      }
    }
    const { open } = await startWith("/x", Private);
    const ann = await open("/x", { headers: { cookie: "a=b; sid=abc" } });
    expect(await ann.readText()).toBe("ann");
    await expect(open("/x", { headers: { cookie: "sid=no" } })).rejects.toMatchObject({ status: 401 });
  });

  it("is not available afterwards", async () => {
    const asked = new Mailbox<ConnectionRequest>();
    const seen = new Mailbox<unknown>();
    class Keeps extends WebSocketHandler {
      override async authorize(request: ConnectionRequest) {
        asked.put(request);
        seen.put(request.raw instanceof IncomingMessage);
        await new Promise((resolve) => setImmediate(resolve));
        seen.put(request.raw instanceof IncomingMessage);
        if (request.query.has("refuse")) throw new HttpError(401);
        return anonymous;
      }
      override onConnect() {
        seen.put(this.request.raw);
      }
      onMessage() {
        this.close();
      }
    }
    class Open extends WebSocketHandler {
      override onConnect() {
        seen.put(this.request.raw);
      }
      onMessage() {
        this.close();
      }
    }
    const { open, app } = await startWith("/x", Keeps);
    app.route("/open", Open);
    await open("/x");
    await open("/open");
    await open("/x?refuse").catch(() => undefined);
    expect(await seen.have(6)).toEqual([true, true, undefined, undefined, true, true]);
    expect(asked.all.map(({ raw }) => raw)).toEqual([undefined, undefined]);
  });

  it("is not available for a client that renews its token, nor for one that has left", async () => {
    const seen = new Mailbox<ConnectionRequest>();
    const released = new Mailbox<() => void>();
    class Renews extends WebSocketHandler {
      override async authorize(request: ConnectionRequest) {
        seen.put(request);
        if (request.query.has("wait")) await new Promise<void>((resolve) => released.put(resolve));
        return anonymous;
      }
      onMessage() {
        this.close();
      }
    }
    const { open, port } = await startWith("/x", Renews);
    const client = await open("/x", { protocols: ["enfilade.v1"] });
    client.sendJSON({ type: "refresh", token: "new" });
    expect((await seen.have(2)).map(({ raw }) => raw)).toEqual([undefined, undefined]);
    const { rawClient, upgradeRequest } = await import("../support/raw.js");
    const leaving = await rawClient(port);
    leaving.socket.write(upgradeRequest("/x?wait"));
    for (const release of await released.have(1)) {
      leaving.socket.destroy();
      release();
    }
    while (seen.all.at(-1)?.raw !== undefined) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("request.headers of an open connection", () => {
  it("are those of its own request, without the key of the handshake, also if many clients send the same", async () => {
    const requests = new Mailbox<ConnectionRequest>();
    class Keeps extends WebSocketHandler {
      override authorize({ headers }: ConnectionRequest) {
        if (headers["sec-websocket-key"] === undefined) throw new Error("it is there during the handshake");
        return anonymous;
      }
      override onConnect() {
        requests.put(this.request);
      }
      onMessage() {
        // Only the request is of interest here.
      }
    }
    const { open } = await startWith("/x", Keeps);
    const sent = [{ "user-agent": "a" }, { "user-agent": "b" }, { "user-agent": "a" }, { cookie: "sid=1" }, {}];
    for (const headers of sent) await open("/x", { headers });
    const kept = (await requests.have(sent.length)).map(({ headers }) => headers);
    expect(kept.map(({ "user-agent": agent, cookie }) => [agent, cookie])).toEqual([
      ["a", undefined],
      ["b", undefined],
      ["a", undefined],
      [undefined, "sid=1"],
      [undefined, undefined],
    ]);
    for (const headers of kept) {
      expect(headers).toMatchObject({ upgrade: "websocket", connection: "Upgrade", host: expect.any(String) });
      expect(headers).not.toHaveProperty("sec-websocket-key");
    }
  });
});
