import { describe, expect, it } from "vitest";
import { App, EventHandler, type IncomingEvent, On, WebSocketHandler } from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { Mailbox } from "../support/app.js";

const clientId = "client-0123456789";
const other = "client-9876543210";

class Events extends EventHandler {
  static readonly ids = new Mailbox<IncomingEvent["id"]>();

  @On("note")
  onNote(_data: unknown, { id }: IncomingEvent) {
    Events.ids.put(id);
  }
}

class Loop extends WebSocketHandler {
  static readonly ids = new Mailbox<string | undefined>();

  override async serve() {
    for await (const { id } of this.connection) Loop.ids.put(id);
  }
}

async function connectV1(app: App, path: string): Promise<TestClient> {
  const client = await connect(app, path, { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] });
  await client.readJSON();
  return client;
}

/** The id that the handler gets for each id of a frame. */
async function idsOf(path: string, frameIds: readonly unknown[]): Promise<readonly unknown[]> {
  await using app = new App().route("/events/:room", Events);
  const client = await connectV1(app, path);
  Events.ids.all.length = 0;
  for (const id of frameIds) client.sendJSON({ type: "event", event: "note", id });
  return [...(await Events.ids.have(frameIds.length))];
}

const path = `/events/a?client=${clientId}`;

describe("the id of a message", () => {
  it("is a hash of the client and the id of the frame, the same on every connection and in every process", async () => {
    const first = await idsOf(path, [7, "7", "seven"]);
    expect(first).toEqual([7, '"7"', '"seven"'].map((id) => expect.stringMatching(new RegExp(`^[\\w-]{22}:${id}$`))));
    expect(await idsOf(path, [7, "7", "seven"])).toEqual(first);
  });

  it("differs for each client, user and room, and does not contain the id of the client", async () => {
    const paths = [path, `/events/a?client=${other}`, `/events/b?client=${clientId}`, "/events/a", "/events/a"];
    const ids: unknown[] = [];
    for (const one of paths) ids.push(...(await idsOf(one, [1])));
    expect(new Set(ids).size).toBe(paths.length);
    expect(ids.filter((id) => String(id).includes(clientId))).toEqual([]);
  });

  it("has at most 89 characters that any database can store", async () => {
    const controls = "\u0000".repeat(64);
    const ids = await idsOf(path, ["x".repeat(64), controls, `${controls.slice(1)}x`, "\ud800"]);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[\x20-\x7e]{24,89}$/);
  });

  it("is also given to serve() and to interceptors", async () => {
    const seen = new Mailbox<string | undefined>();
    await using app = new App().route("/events/:room", Events).route("/loop/:room", Loop);
    app.intercept((_handler, { id }, next) => {
      seen.put(id);
      return next();
    });
    const [events, loop] = [await connectV1(app, path), await connectV1(app, `/loop/a?client=${clientId}`)];
    events.sendJSON({ type: "event", event: "note", id: 1 });
    loop.sendJSON({ type: "message", data: 1, id: 1 });
    loop.sendJSON({ type: "message", data: 1 });
    expect(await seen.have(1)).toEqual([expect.stringMatching(/^[\w-]{22}:1$/)]);
    expect(await Loop.ids.have(2)).toEqual([expect.stringMatching(/^[\w-]{22}:1$/), undefined]);
  });

  it("of an event of a plain client is the one that the client sent, and its message has none", async () => {
    const seen = new Mailbox<string | undefined>();
    await using app = new App().route("/events/:room", Events);
    app.intercept((_handler, { id }, next) => {
      seen.put(id);
      return next();
    });
    const client = await connect(app, "/events/a");
    Events.ids.all.length = 0;
    client.sendJSON({ event: "note", id: 7 });
    expect(await Events.ids.have(1)).toEqual([7]);
    expect(await client.readJSON()).toEqual({ id: 7, data: null });
    expect(seen.all).toEqual([undefined]);
  });

  it("does not change the id of the reply", async () => {
    await using app = new App().route("/events/:room", Events);
    const client = await connectV1(app, path);
    client.sendJSON({ type: "event", event: "note", id: "mine" });
    expect(await client.readJSON()).toEqual({ type: "reply", id: "mine", data: null });
    client.sendJSON({ type: "event", event: "none", id: "mine too" });
    expect(await client.readJSON()).toMatchObject({ type: "reply", id: "mine too", error: { code: "unknown_event" } });
  });
});
