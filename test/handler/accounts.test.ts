import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { App, HttpError, Route, roomPath, WebSocketHandler } from "../../src/index.js";
import { connectURL, type TestClient } from "../../src/testing/index.js";
import { closes, start } from "../support/app.js";

interface Account {
  readonly id: string;
  readonly company: string;
}

const accounts = new Map<string, Account>([
  ["ann's token", { id: "ann", company: "42" }],
  ["bob", { id: "bob", company: "42" }],
  ["cid", { id: "cid", company: "7" }],
]);

@Route("/ws/:token", { name: "main" })
class Main extends WebSocketHandler<{ token: string }, Account> {
  override authorize() {
    const account = accounts.get(this.params.token);
    if (account === undefined) throw new HttpError(401, "no such token");
    return account;
  }

  override onConnect() {
    this.join(roomPath("/companies/:company", { company: this.user.company }));
  }

  onJSON(message: unknown) {
    this.sendJSONToRoom(`/companies/${this.user.company}`, { by: this.user.id, message });
  }
}

@Route("/public")
class Public extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** An HTTP server with its own to-dos, and the app attached to it. */
async function startServer() {
  const todos: unknown[] = [];
  const app = new App({ handlers: [Main, Public] });
  const errors: Error[] = [];
  app.on("error", (error) => errors.push(error));
  const server = createServer(async (request, response) => {
    const { method, url } = request;
    if (method !== "POST" || url !== "/new") return response.writeHead(404).end();
    const todo = await json(request);
    todos.push(todo);
    app.channel("main").sendJSON({ new: todo });
    return response.writeHead(201).end();
  });
  app.attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    await app.close({ timeoutMs: 200 });
    server.closeAllConnections();
    server.close();
  });
  // The server listens on a port, so its address is an object.
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const add = async (todo: unknown) => {
    const body = JSON.stringify(todo);
    return (await fetch(`http://${host}/new`, { method: "POST", body })).status;
  };
  const open = (path: string) => connectURL(`ws://${host}${path}`);
  const signIn = (token: string) => open(app.url("main", { token }));
  return { app, errors, todos, add, open, signIn };
}

/** The messages that each client has received so far; later ones are not awaited. */
async function receivedBy(app: App, clients: readonly TestClient[]): Promise<unknown[][]> {
  app.registry.sendJSONToAll("end");
  const seen = clients.map(async (client) => {
    const own: unknown[] = [];
    for (let value = await client.readJSON(); value !== "end"; value = await client.readJSON()) own.push(value);
    return own;
  });
  return Promise.all(seen);
}

describe("a to-do list with an HTTP API", () => {
  it("sends all clients of the named route the new to-dos, in order, and no other client", async () => {
    const { app, todos, add, open, signIn } = await startServer();
    const clients = [await signIn("ann's token"), await signIn("cid"), await open("/public")];
    expect(await add({ title: "milk" })).toBe(201);
    expect(await add({ title: "bread" })).toBe(201);
    expect(todos).toEqual([{ title: "milk" }, { title: "bread" }]);
    const reported = [{ new: { title: "milk" } }, { new: { title: "bread" } }];
    expect(await receivedBy(app, clients)).toEqual([reported, reported, []]);
  });

  it("accepts a to-do without clients, before the first and after the last", async () => {
    const { app, errors, todos, add, signIn } = await startServer();
    expect(await add(1)).toBe(201);
    const ann = await signIn("ann's token");
    const closed = closes(app, 1);
    ann.terminate();
    await closed;
    expect(await add(2)).toBe(201);
    expect([todos, errors, app.channel("main").size]).toEqual([[1, 2], [], 0]);
  });
});

describe("a user with a token in the path", () => {
  it("is set on the connection, and addressed by id", async () => {
    const { app, signIn } = await startServer();
    await signIn("ann's token");
    await signIn("cid");
    expect(app.registry.connections.map(({ user }) => user)).toEqual([
      { id: "ann", company: "42" },
      { id: "cid", company: "7" },
    ]);
    expect(app.registry.users.map(({ id }) => id)).toEqual(["ann", "cid"]);
    expect(app.registry.rooms.map(({ path }) => path)).toEqual([
      ...["/ws/ann's token", "/companies/42", "/ws/cid", "/companies/7"],
    ]);
  });

  it.each(["dan", "ANN'S TOKEN", "__proto__", "constructor", "ann's token "])(
    "is refused before the upgrade when the token is %j",
    async (token) => {
      const { app, errors, open } = await startServer();
      await expect(open(`/ws/${encodeURIComponent(token)}`)).rejects.toMatchObject({ status: 401 });
      expect(app.status()).toMatchObject({ connections: 0, rooms: 0, users: 0, totals: { opened: 0, refused: 1 } });
      expect(errors).toEqual([]);
    },
  );

  it("gets messages to the user in every open tab, and no other client does", async () => {
    const { app, signIn } = await startServer();
    const { registry } = app;
    const [tab, other, bob] = [await signIn("ann's token"), await signIn("ann's token"), await signIn("bob")];
    registry.sendJSONToUser("ann", "by id");
    registry.sendJSONToUser({ id: "ann" }, "by user");
    expect(await receivedBy(app, [tab, other, bob])).toEqual([["by id", "by user"], ["by id", "by user"], []]);
    const closed = closes(app, 1);
    tab.terminate();
    await closed;
    expect([registry.user("ann").size, app.status().users]).toEqual([1, 2]);
    registry.sendJSONToUser("ann", "still here");
    registry.sendJSONToUser("absent", "lost");
    expect(await receivedBy(app, [other, bob])).toEqual([["still here"], []]);
    const gone = closes(app, 1);
    await other.close();
    await gone;
    expect([registry.user("ann").size, app.status().users]).toEqual([0, 1]);
  });
});

describe("the room of a company", () => {
  it("is addressed from outside by its path, and only its members get messages", async () => {
    const { app, signIn } = await startServer();
    const clients = [await signIn("ann's token"), await signIn("bob"), await signIn("cid")];
    app.registry.sendJSONToRoom("/companies/42", "for 42");
    app.registry.sendJSONToRoom("/companies/7", "for 7");
    app.registry.sendJSONToRoom("/companies/4", "not delivered");
    app.registry.sendJSONToRoom("/companies", "not delivered");
    expect(await receivedBy(app, clients)).toEqual([["for 42"], ["for 42"], ["for 7"]]);
  });

  it("is addressed by its members, on any path", async () => {
    const { app, signIn } = await startServer();
    const [ann, bob, cid] = [await signIn("ann's token"), await signIn("bob"), await signIn("cid")];
    ann.sendJSON("hello");
    const hello = { by: "ann", message: "hello" };
    expect([await ann.readJSON(), await bob.readJSON()]).toEqual([hello, hello]);
    expect(await receivedBy(app, [ann, bob, cid])).toEqual([[], [], []]);
  });

  it("counts its connections, and is freed with the last of them", async () => {
    const { app, signIn } = await startServer();
    const room = app.registry.room("/companies/42");
    const clients = [await signIn("ann's token"), await signIn("ann's token"), await signIn("bob")];
    await signIn("cid");
    expect(room.members().map(({ user }) => (user as Account).id)).toEqual(["ann", "ann", "bob"]);
    for (const [left, client] of [...clients.entries()].reverse()) {
      const closed = closes(app, 1);
      client.terminate();
      await closed;
      expect(room.size).toBe(left);
    }
    expect(app.registry.rooms.map(({ path }) => path)).toEqual(["/ws/cid", "/companies/7"]);
  });
});

describe("a user whose id is a number", () => {
  class Numbered extends WebSocketHandler<object, { id: number }> {
    override authorize() {
      return { id: Number(this.query.get("id")) };
    }
    onMessage(to: string) {
      if (to === "me") this.sendJSONToUser(this.user, { to: this.user.id });
      else this.sendTextToUser(Number(to), "from a handler");
    }
  }
  const presence = { mode: "full", leaveGraceMs: 0 } as const;

  it("is found by the number, by its text and by the user", async () => {
    const { app, open, errors } = await start(new App().route("/x", Numbered, { presence }));
    const seven = await open("/x?id=7");
    const { registry } = app;
    registry.sendTextToUser(7, "number");
    registry.sendTextToUser("7", "text");
    registry.sendTextToUser({ id: 7 }, "object");
    registry.user(7).sendText("address");
    (await open("/x?id=-1.5")).sendText("7");
    const received = [];
    for (let count = 0; count < 5; count += 1) received.push(await seven.readText());
    expect(received).toEqual(["number", "text", "object", "address", "from a handler"]);
    seven.sendText("me");
    expect(await seven.readJSON()).toEqual({ to: 7 });
    expect(registry.users.map(({ id }) => id)).toEqual(["7", "-1.5"]);
    expect([registry.user("-1.5").size, registry.user(-1.5).size]).toEqual([1, 1]);
    expect((await registry.room("/x").presence()).users).toMatchObject([{ id: "7" }, { id: "-1.5" }]);
    expect(errors).toEqual([]);
  });

  it("keeps its id when it renews its credentials, and cannot become another user", async () => {
    class Renews extends WebSocketHandler<object, { id: number | string }> {
      override authorize({ token = "7" }: { token?: string | undefined }) {
        return { id: token === "text" ? "7" : Number(token) };
      }
      onMessage() {
        this.sendJSON(this.user);
      }
    }
    const { open } = await start(new App().route("/x", Renews));
    const client = await open("/x", { protocols: ["enfilade.v1"] });
    await client.read();
    client.sendJSON({ type: "refresh", token: "text" });
    let user: unknown;
    while (user !== "7") {
      client.sendJSON({ type: "message", text: "?" });
      // A frame of PROTOCOL.md.
      user = ((await client.readJSON()) as { data: { id: unknown } }).data.id;
    }
    client.sendJSON({ type: "refresh", token: "8" });
    expect(await client.closed).toMatchObject({ code: 4501 });
  });

  it.each(["NaN", "Infinity"])("is refused if it is %s", async (id) => {
    const { app, open, errors } = await start(new App().route("/x", Numbered));
    await expect(open(`/x?id=${id}`)).rejects.toMatchObject({ status: 500 });
    expect(errors).toMatchObject([{ code: "ERR_USER", message: expect.stringContaining(`whose id is ${id}`) }]);
    expect(() => app.registry.sendTextToUser(Number(id), "x")).toThrow(expect.objectContaining({ code: "ERR_USER" }));
    expect(() => app.registry.user(Number(id))).toThrow(expect.objectContaining({ code: "ERR_USER" }));
  });
});
