import { describe, expect, it, onTestFinished } from "vitest";
import { MemoryBackplane } from "../../src/backplane/index.js";
import {
  App,
  type AppOptions,
  anonymous,
  type Connection,
  EnfiladeError,
  type Room,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";

const silent = { warn: () => undefined, error: () => undefined };

class Visitor extends WebSocketHandler {
  static readonly handlers = new Map<string, Visitor>();
  left: (readonly [string, string])[] = [];
  override authorize() {
    const id = this.query.get("user");
    return id === null ? anonymous : { id };
  }
  override onConnect() {
    Visitor.handlers.set(this.id, this);
  }
  override onRoomLeave(room: Room, reason: string) {
    this.left.push([room.path, reason]);
  }
  onMessage() {
    // Nothing is read.
  }
}

interface Visit {
  readonly client: TestClient;
  readonly connection: Connection;
  readonly handler: Visitor;
}

function appWith(options: AppOptions = {}, route: RouteOptions = {}): App {
  const app = new App({ logger: silent, ...options }).route("/home/:name", Visitor, route);
  onTestFinished(() => app.close({ timeoutMs: 200 }));
  return app;
}

async function connectUser(app: App, path: string): Promise<Visit> {
  const client = await connect(app, path);
  const connection = app.registry.connections.at(-1);
  const handler = Visitor.handlers.get(connection?.id ?? "");
  if (connection === undefined || handler === undefined) throw new Error("the connection is not registered");
  return { client, connection, handler };
}

const membersOf = (app: App, path: string) =>
  app.registry
    .room(path)
    .members()
    .map(({ id }) => id);

describe("room.evict()", () => {
  it.each([
    ["a connection", ({ connection }: Visit) => connection],
    ["a handler", ({ handler }: Visit) => handler],
    ["an id", ({ connection }: Visit) => connection.id],
  ])("removes one connection, named by %s, and no other of its user", async (_what, whoOf) => {
    const app = appWith();
    const [first, second] = [await connectUser(app, "/home/a?user=ann"), await connectUser(app, "/home/a?user=ann")];
    app.registry.room("/home/a").evict(whoOf(first));
    expect(membersOf(app, "/home/a")).toEqual([second.connection.id]);
    expect(app.registry.roomsOf(first.connection)).toEqual([]);
    app.registry.room("/home/a").sendText("secret");
    app.registry.sendTextToUser("ann", "still connected");
    expect(await first.client.readText()).toBe("still connected");
    expect(await second.client.readText()).toBe("secret");
  });

  it.each([
    ["{ user: id }", () => ({ user: "ann" })],
    ["{ user: what authorize returned }", () => ({ user: { id: "ann" } })],
    ["a User", ({ registry }: App) => registry.user("ann")],
  ])("removes every connection of a user, named by %s", async (_what, whoOf) => {
    const app = appWith();
    for (const user of ["ann", "ann", "bob"]) {
      const { connection } = await connectUser(app, `/home/a?user=${user}`);
      app.registry.join(connection, "/team");
    }
    app.registry.room("/team").evict(whoOf(app));
    expect(app.registry.room("/team").size).toBe(1);
    expect(app.registry.room("/home/a").size).toBe(3);
  });

  it("calls onRoomLeave with the reason, for a joined room, and closes no connection", async () => {
    const app = appWith();
    const { client, connection, handler } = await connectUser(app, "/home/a");
    for (const path of ["/team", "/other"]) app.registry.join(connection, path);
    app.registry.room("/team").evict(connection, { reason: "kicked" });
    app.registry.room("/other").evict(connection);
    app.registry.room("/nowhere").evict(connection, { reason: "not there" });
    app.registry.room("/home/a").evict(connection, { reason: "and out" });
    expect(handler.left).toEqual([
      ["/team", "kicked"],
      ["/other", ""],
    ]);
    connection.sendText("still connected");
    expect(await client.readText()).toBe("still connected");
  });

  it("closes a connection without rooms with 1000 and the reason, if the route has that option", async () => {
    const app = appWith({}, { closeOnLastRoomLeft: true });
    const { client, connection } = await connectUser(app, "/home/a");
    app.registry.join(connection, "/team");
    app.registry.room("/home/a").evict(connection, { reason: "first" });
    expect(connection.isOpen).toBe(true);
    app.registry.room("/team").evict(connection, { reason: "é".repeat(100) });
    expect(await client.closed).toMatchObject({ code: 1000, reason: "é".repeat(61) });
  });

  it("cancels a join that authorizeJoin has not decided yet", async () => {
    const decisions: ((answer: boolean) => void)[] = [];
    class Guarded extends Visitor {
      override authorizeJoin() {
        return new Promise<boolean>((resolve) => decisions.push(resolve));
      }
    }
    const app = new App({ logger: silent }).route("/home/:name", Guarded);
    onTestFinished(() => app.close({ timeoutMs: 200 }));
    const { connection } = await connectUser(app, "/home/a?user=ann");
    const joining = app.registry.join(connection, "/team");
    app.registry.room("/team").evict({ user: "ann" });
    for (const decide of decisions) decide(true);
    await expect(joining).rejects.toMatchObject({ code: "ERR_JOIN_REFUSED" });
    expect(app.registry.room("/team").size).toBe(0);
  });

  it("refuses a value that is neither a connection nor a user, and unknown options", async () => {
    const app = appWith();
    const { connection } = await connectUser(app, "/home/a");
    const room = app.registry.room("/home/a");
    const option = expect.objectContaining({ code: "ERR_OPTION" });
    for (const who of [undefined, null, 7, {}, [], { id: 7 }, { userId: "ann" }]) {
      expect(() => Reflect.apply(room.evict, room, [who])).toThrow(option);
    }
    for (const user of [undefined, null, {}, []]) {
      expect(() => Reflect.apply(room.evict, room, [{ user }])).toThrow(EnfiladeError);
    }
    expect(() => Reflect.apply(room.evict, room, [connection, { raeson: "x" }])).toThrow(/did you mean "reason"/);
    expect(() => Reflect.apply(room.evict, room, [connection, { reason: 7 }])).toThrow(option);
    expect(room.size).toBe(1);
  });

  it("refuses a string that is not a connection id, such as a user's id, with a hint", async () => {
    const app = appWith();
    await connectUser(app, "/home/a?user=ann");
    const room = app.registry.room("/home/a");
    for (const who of ["ann", { id: "ann" }]) {
      const message = 'evict takes the id of a connection, got "ann"; for a user pass { user: "ann" }';
      expect(() => room.evict(who)).toThrow(expect.objectContaining({ code: "ERR_OPTION", message }));
    }
    expect(room.size).toBe(1);
  });

  it("evicts on this node even if the others cannot be reached, and reports that", async () => {
    class Broken extends MemoryBackplane {
      override evict() {
        return Promise.reject(new EnfiladeError("ERR_BACKPLANE", "the engine is away"));
      }
    }
    const app = appWith({ backplane: new Broken() });
    const reported = new Promise<Error>((resolve) => app.on("error", resolve));
    const { connection } = await connectUser(app, "/home/a");
    app.registry.room("/home/a").evict(connection);
    expect(await reported).toMatchObject({
      code: "ERR_BACKPLANE",
      message: expect.stringContaining("the engine is away"),
    });
    expect(membersOf(app, "/home/a")).toEqual([]);
  });
});
