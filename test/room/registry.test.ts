import { describe, expect, it } from "vitest";
import { MemoryBackplane } from "../../src/backplane/index.js";
import { App, type AppOptions, anonymous, WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { closes, Mailbox, start } from "../support/app.js";

class Member extends WebSocketHandler {
  override authorize() {
    const id = this.query.get("user");
    return id === null ? anonymous : { id };
  }
  onMessage(text: string) {
    this.sendText(text);
  }
}

function open(options: AppOptions = {}) {
  return start(new App(options).route("/rooms/**", Member).route("/named/:token", Member, { name: "main" }));
}

describe("the registry", () => {
  it("groups connections by path, user and channel, and frees empty groups", async () => {
    const { app, ...running } = await open();
    const { registry } = app;
    const ann = await running.open("/rooms/a?user=ann");
    const tab = await running.open("/rooms/b?user=ann");
    const bob = await running.open("/named/x?user=bob");
    expect(registry.rooms.map(({ path, size }) => [path, size])).toEqual([
      ...[
        ["/rooms/a", 1],
        ["/rooms/b", 1],
        ["/named/x", 1],
      ],
    ]);
    expect(registry.users.map(({ id, size }) => [id, size])).toEqual([
      ["ann", 2],
      ["bob", 1],
    ]);
    expect([registry.connections.length, app.channel("main").size]).toEqual([3, 1]);
    expect(
      registry
        .user("ann")
        .members()
        .map(({ request }) => request.path),
    ).toEqual(["/rooms/a", "/rooms/b"]);
    app.channel("main").sendJSON("to main");
    registry.user("ann").sendText("to ann");
    await registry.room("/rooms/a").publish("to a");
    expect(await bob.readJSON()).toBe("to main");
    expect([await ann.readText(), await ann.readJSON()]).toEqual(["to ann", "to a"]);
    expect(await tab.readText()).toBe("to ann");
    const closed = closes(app, 3);
    for (const client of [ann, tab, bob]) client.terminate();
    await closed;
    expect([registry.rooms, registry.users, registry.connections]).toEqual([[], [], []]);
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0, users: 0 });
  });

  it("reports rooms in order: the first member, and the last one gone", async () => {
    const reported = new Mailbox<string>();
    const { app, ...running } = await open();
    app.registry.on("room", ({ path, size }) => reported.put(`room ${path} ${size}`));
    app.registry.on("room-empty", ({ path, size }) => reported.put(`empty ${path} ${size}`));
    const one = await running.open("/rooms/a");
    const two = await running.open("/rooms/a");
    const [first] = app.registry.connections;
    if (first !== undefined) app.registry.join(first, "/extra");
    const closed = closes(app, 1);
    two.terminate();
    await closed;
    one.terminate();
    expect(await reported.have(4)).toEqual(["room /rooms/a 1", "room /extra 1", "empty /rooms/a 0", "empty /extra 0"]);
  });

  it("continues when a listener throws, and reports the error", async () => {
    const { app, errors, ...running } = await open();
    app.registry.on("room", () => {
      throw new Error("listener");
    });
    app.on("open", () => {
      throw new Error("logged, not thrown");
    });
    const client = await running.open("/rooms/a");
    client.sendText("alive");
    expect(await client.readText()).toBe("alive");
    expect(errors.map(({ message }) => message)).toEqual(["listener"]);
  });

  it("treats a path such as /__proto__ or /constructor like any other", async () => {
    const { app, ...running } = await open();
    const client = await running.open("/rooms/__proto__/constructor");
    app.registry.sendTextToRoom("/rooms/__proto__/constructor", "hello");
    expect(await client.readText()).toBe("hello");
    expect(app.registry.room("/__proto__").size).toBe(0);
    expect(app.registry.connection("__proto__")).toBeUndefined();
    expect(app.registry.user("__proto__").members()).toEqual([]);
  });

  it("leaves out the excepted members, by handler, connection, id or list", async () => {
    const { app, ...running } = await open();
    const clients = [await running.open("/rooms/a"), await running.open("/rooms/a"), await running.open("/rooms/a")];
    const [one, two, three] = app.registry.connections;
    const { registry } = app;
    registry.sendJSONToRoom("/rooms/a", 1, { except: one });
    registry.sendJSONToAll(2, { except: two?.id });
    registry.room("/rooms/a").sendJSON(3, { except: [one ?? "", { id: three?.id ?? "" }] });
    registry.sendJSONToAll("end");
    const seen = [];
    for (const client of clients) {
      const own = [];
      for (let value = await client.readJSON(); value !== "end"; value = await client.readJSON()) own.push(value);
      seen.push(own);
    }
    expect(seen).toEqual([[2], [1, 3], [1, 2]]);
  });

  it("enforces roomsMax and joinsMax with a clear error, and accepts more once there is space", async () => {
    const { app, ...running } = await open({ limits: { roomsMax: 2, joinsMax: 2 } });
    const one = await running.open("/rooms/a");
    await running.open("/rooms/b");
    await expect(running.open("/rooms/c")).rejects.toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    await running.open("/rooms/a");
    const [first] = app.registry.connections;
    if (first === undefined) throw new Error("there is no connection");
    expect(() => app.registry.join(first, "/rooms/c")).toThrow(expect.objectContaining({ code: "ERR_ROOMS_MAX" }));
    app.registry.join(first, "/rooms/b");
    expect(() => app.registry.join(first, "/rooms/a/b")).toThrow(expect.objectContaining({ code: "ERR_JOINS_MAX" }));
    one.sendText("alive");
    expect(await one.readText()).toBe("alive");
    app.registry.leaveAll(first);
    app.registry.room("/rooms/a").close(4000);
    const emptied = new Promise((resolve) => app.registry.on("room-empty", resolve));
    await emptied;
    expect(await (await running.open("/rooms/c")).close(1000)).toMatchObject({ code: 1000 });
  });

  it("ignores a join that comes after the connection has ended", async () => {
    const { app, ...running } = await open();
    const client = await running.open("/rooms/a");
    const [connection] = app.registry.connections;
    const closed = closes(app, 1);
    await client.close();
    await closed;
    if (connection === undefined) throw new Error("there is no connection");
    app.registry.join(connection, "/rooms/late");
    app.registry.leave(connection, "/rooms/a");
    expect([app.registry.rooms, app.registry.roomsOf(connection)]).toEqual([[], []]);
  });

  it("encodes a broadcast once, for any number of receivers", async () => {
    await using app = new App().route("/rooms/:name", Member);
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(app, "/rooms/a")));
    let encoded = 0;
    const value = {
      toJSON() {
        encoded += 1;
        return "once";
      },
    };
    app.registry.sendJSONToRoom("/rooms/a", value);
    for (const client of clients) expect(await client.readJSON()).toBe("once");
    expect(encoded).toBe(1);
  });

  it("reports a failed send once through the app, and rejects publish()", async () => {
    const errors: Error[] = [];
    class EngineAway extends MemoryBackplane {
      override publish() {
        return Promise.reject(new Error("engine away"));
      }
    }
    const app = new App({ backplane: new EngineAway() });
    const reported = new Promise<void>((resolve) => {
      app.on("error", (error) => {
        errors.push(error);
        resolve();
      });
    });
    app.registry.sendJSONToAll("x");
    await reported;
    expect(errors.map(({ message }) => message)).toEqual(["engine away"]);
    await expect(app.registry.room("/a").publish("x")).rejects.toThrow("engine away");
    await expect(app.registry.room("/a").publish(undefined)).rejects.toMatchObject({ code: "ERR_VALUE" });
    expect(errors).toHaveLength(1);
  });
});
