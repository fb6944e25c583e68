import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Delivery,
  type HistoryPage,
  type HistoryQuery,
  MemoryBackplane,
  type Topic,
} from "../../src/backplane/index.js";
import {
  App,
  type AppOptions,
  type Connection,
  commandEvents,
  EventHandler,
  type Except,
  On,
  type RoomPath,
  type RouteOptions,
  roomPath,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { roomName } from "../../src/wire/path.js";
import { PathTree } from "../../src/wire/pathTree.js";
import { closes, type RunningApp, start } from "../support/app.js";
import { answerTo, upgradeRequest } from "../support/raw.js";

class Member extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function open(route: RouteOptions = {}, options: AppOptions = {}): Promise<RunningApp> {
  return start(new App(options).route("/**", Member, route));
}

const family = ["/org/7", "/org/7/a", "/org/7/a/b", "/org/7/a/b/c", "/org/7/z"];
const strangers = ["/org", "/org/70", "/org/7x/a", "/org/8/7", "/other/org/7", "/"];

async function clientsAt({ open }: RunningApp, paths: readonly string[]): Promise<TestClient[]> {
  const clients = [];
  for (const path of paths) clients.push(await open(path));
  return clients;
}

/** The messages that each of them has received. */
async function receivedBy(app: App, clients: readonly TestClient[]): Promise<string[][]> {
  app.registry.sendTextToAll("end");
  const all: string[][] = [];
  for (const client of clients) {
    const received: string[] = [];
    for (let text = await textOf(client); text !== "end"; text = await textOf(client)) received.push(text);
    all.push(received);
  }
  return all;
}

async function textOf(client: TestClient): Promise<string> {
  return Buffer.from((await client.read()).bytes).toString();
}

function newestConnection(app: App): Connection {
  const connection = app.registry.connections.at(-1);
  if (connection === undefined) throw new Error("there is no connection");
  return connection;
}

describe("a message to a tree of rooms", () => {
  it("reaches the room itself and all rooms below it, and no neighbour", async () => {
    const running = await open();
    const { registry } = running.app;
    const inside = await clientsAt(running, family);
    const outside = await clientsAt(running, strangers);
    registry.sendJSONToRoom("/org/7/**", { n: 1 });
    registry.sendTextToRoom("/org/7/**", "two");
    registry.sendBinaryToRoom("/org/7/**", Buffer.from("three"));
    const received = await receivedBy(running.app, [...inside, ...outside]);
    expect(received.slice(0, family.length)).toEqual(family.map(() => ['{"n":1}', "two", "three"]));
    expect(received.slice(family.length)).toEqual(strangers.map(() => []));
  });

  it("reaches the rooms below even if its own room is empty", async () => {
    const running = await open();
    const clients = await clientsAt(running, ["/org/7/a/b", "/org/8"]);
    running.app.registry.sendTextToRoom("/org/**", "org");
    running.app.registry.sendTextToRoom("/org/7/**", "seven");
    running.app.registry.sendTextToRoom("/org/7/a/b/**", "b");
    expect(await receivedBy(running.app, clients)).toEqual([["org", "seven", "b"], ["org"]]);
  });

  it("reaches every room by /**, the root room included", async () => {
    const running = await open();
    const paths = [...family, ...strangers];
    const clients = await clientsAt(running, paths);
    running.app.registry.sendTextToRoom("/**", "all");
    expect(await receivedBy(running.app, clients)).toEqual(paths.map(() => ["all"]));
  });

  it("reaches each connection once, in any number of matching rooms", async () => {
    const running = await open();
    const { registry } = running.app;
    const busy = await running.open("/org/7");
    const connection = newestConnection(running.app);
    for (const path of ["/org/7/a", "/org/7/a/b", "/elsewhere"]) registry.join(connection, path);
    const below = await running.open("/org/7/a");
    const joined = await running.open("/far/away");
    registry.join(newestConnection(running.app), "/org/7/a/b");
    registry.sendTextToRoom("/org/7/**", "once");
    registry.leave(connection, "/org/7");
    registry.sendTextToRoom("/org/7/**", "and once");
    for (const path of ["/org/7/a", "/org/7/a/b"]) registry.leave(connection, path);
    registry.sendTextToRoom("/org/7/**", "not here");
    expect(await receivedBy(running.app, [busy, below, joined])).toEqual([
      ["once", "and once"],
      ["once", "and once", "not here"],
      ["once", "and once", "not here"],
    ]);
  });

  it("can be sent from a handler too, as a message and as an event", async () => {
    class Teller extends EventHandler {
      @On("tell")
      onTell(path: string) {
        this.sendJSONToRoom(path, "json");
        this.sendTextToRoom(path, "text");
        this.sendBinaryToRoom(path, Buffer.from("binary"));
        this.emitToRoom(path, "told", 1);
        this.emitToRoom(path, "told", 2, { except: this });
      }
    }
    const running = await start(new App().route("/org/:id/teller", Teller).route("/**", Member));
    const teller = await running.open("/org/7/teller");
    const clients = await clientsAt(running, ["/org/7", "/org/7/a", "/org/8"]);
    teller.sendJSON({ event: "tell", data: "/org/7/**", id: 1 });
    const own = ['"json"', "text", "binary", '{"event":"told","data":1}'];
    for (const expected of [...own, '{"id":1,"data":null}']) expect(await textOf(teller)).toBe(expected);
    const all = [...own, '{"event":"told","data":2}'];
    expect(await receivedBy(running.app, clients)).toEqual([all, all, []]);
  });

  it("names the tree as the channel of an event, in a protocol that has one", async () => {
    class Teller extends EventHandler {
      @On("tell")
      onTell() {
        this.emitToRoom("/org/7/**", "told", "all");
      }
    }
    const app = new App({ eventProtocol: commandEvents }).route("/org/:id", Teller).route("/**", Member);
    const running = await start(app);
    const teller = await running.open("/org/7");
    const from = newestConnection(app).id;
    const below = await running.open("/org/7/a");
    teller.sendJSON({ cmd: "tell" });
    const reported = { from, channel: "/org/7/**", cmd: "told", param: "all" };
    expect([await teller.readJSON(), await below.readJSON()]).toEqual([reported, reported]);
  });

  it("leaves out excepted members in all rooms", async () => {
    const running = await open();
    const { registry } = running.app;
    const clients = await clientsAt(running, ["/org/7", "/org/7/a", "/org/7/b"]);
    const [one, two, three] = registry.connections;
    if (one === undefined || two === undefined || three === undefined) throw new Error("there is no connection");
    registry.join(one, "/org/7/b");
    const excepted: readonly Except[] = [one, two.id, [two, { id: three.id }]];
    for (const [n, except] of excepted.entries()) registry.sendTextToRoom("/org/7/**", String(n), { except });
    expect(await receivedBy(running.app, clients)).toEqual([["1", "2"], ["0"], ["0", "1"]]);
  });

  it("does nothing if no matching room has members", async () => {
    const running = await open();
    const { registry } = running.app;
    for (const path of ["/**", "/org/**", "/org/7/a/b/c/**"]) {
      registry.sendJSONToRoom(path, 1);
      registry.sendTextToRoom(path, "x");
      registry.sendBinaryToRoom(path, new Uint8Array(1));
    }
    const [client] = await clientsAt(running, ["/org/7"]);
    registry.sendTextToRoom("/org/7/a/**", "x");
    expect(await receivedBy(running.app, client === undefined ? [] : [client])).toEqual([[]]);
    expect(running.errors).toEqual([]);
    expect(running.app.status()).toMatchObject({ rooms: 1 });
  });

  it("finds the existing rooms as they open and are freed", async () => {
    const running = await open();
    const { registry } = running.app;
    const [watcher, middle, deep] = await clientsAt(running, ["/org/7/a/b/c", "/org/7/a", "/org/7/a/b/c/d"]);
    if (watcher === undefined || middle === undefined || deep === undefined) throw new Error("there is no connection");
    for (const client of [middle, deep]) {
      const closed = closes(running.app, 1);
      client.terminate();
      await closed;
    }
    registry.sendTextToRoom("/org/7/**", "1");
    registry.sendTextToRoom("/org/7/a/b/c/**", "2");
    registry.sendTextToRoom("/org/7/a/b/c/d/**", "not received");
    const back = await running.open("/org/7/a/b/c/d");
    registry.sendTextToRoom("/org/7/a/**", "3");
    const [connection] = registry.connections;
    if (connection === undefined) throw new Error("there is no connection");
    registry.leaveAll(connection);
    registry.sendTextToRoom("/org/**", "4");
    expect(await receivedBy(running.app, [watcher, back])).toEqual([
      ["1", "2", "3"],
      ["3", "4"],
    ]);
  });

  it("differs from this room: sendToThisRoom and publish() reach only the one room", async () => {
    class Parent extends WebSocketHandler {
      onMessage(text: string) {
        this.sendTextToThisRoom(text);
        this.sendJSONToThisRoom(text);
        this.sendBinaryToThisRoom(Buffer.from(text));
      }
    }
    const running = await start(new App().route("/org/**", Parent).route("/**", Member));
    const [parent, child] = await clientsAt(running, ["/org", "/org/7"]);
    if (parent === undefined || child === undefined) throw new Error("there is no connection");
    parent.sendText("mine");
    for (const expected of ["mine", '"mine"', "mine"]) expect(await textOf(parent)).toBe(expected);
    await running.app.registry.room("/org").publish("published");
    running.app.registry.room("/org").sendText("sent");
    expect(await receivedBy(running.app, [parent, child])).toEqual([['"published"', "sent"], []]);
  });

  it("is one publication to the backplane, for any number of matching rooms", async () => {
    const topics: Topic[] = [];
    class Counting extends MemoryBackplane {
      override publish(topic: Topic, delivery: Delivery) {
        topics.push(topic);
        return super.publish(topic, delivery);
      }
    }
    const running = await open({ history: { size: 10 } }, { backplane: new Counting() });
    await clientsAt(running, family);
    running.app.registry.sendTextToRoom("/org/7/**", "one");
    running.app.registry.sendTextToRoom("/**", "two");
    expect(topics).toEqual(["below:/org/7", "below:/"]);
  });
});

describe("a tree and the history of its rooms", () => {
  it("leaves no entry in the history of a room, and does not change its numbering", async () => {
    const running = await open({ history: { size: 10 } });
    const { registry } = running.app;
    const room = registry.room("/org/7");
    const [client] = await clientsAt(running, ["/org/7"]);
    await room.publish("one");
    registry.sendJSONToRoom("/org/7/**", "tree");
    registry.sendJSONToRoom("/**", "tree");
    expect((await room.publish("two"))?.offset).toBe(2);
    expect((await room.history()).map(({ data, position }) => [data, position?.offset])).toEqual([
      ["one", 1],
      ["two", 2],
    ]);
    expect(await receivedBy(running.app, client === undefined ? [] : [client])).toEqual([
      ['"one"', '"tree"', '"tree"', '"two"'],
    ]);
  });

  it("reaches subscriptions to its rooms, without a position", async () => {
    const running = await open({ history: { size: 10 } });
    const { registry } = running.app;
    const [inside, twice, outside] = ["/org/7/a", "/org/7/a", "/org/8"].map((path) => registry.room(path).subscribe());
    await clientsAt(running, ["/org/7", "/org/7/a"]);
    registry.sendJSONToRoom("/org/7/**", { n: 1 });
    registry.sendTextToRoom("/org/**", "two");
    registry.sendTextToRoom("/org/7/a", "three");
    for (const subscription of [inside, twice]) {
      expect((await subscription?.next())?.value).toEqual({ data: { n: 1 } });
      expect((await subscription?.next())?.value).toEqual({ text: "two" });
      expect((await subscription?.next())?.value).toMatchObject({ text: "three", position: { offset: 1 } });
    }
    expect((await outside?.next())?.value).toEqual({ text: "two" });
    for (const subscription of [inside, twice, outside]) await subscription?.return();
  });

  it("reaches a new client once, after the replay", async () => {
    let read = () => undefined as unknown;
    class Held extends MemoryBackplane {
      override async readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
        await new Promise((resolve) => {
          read = () => resolve(undefined);
        });
        return super.readHistory(path, query);
      }
    }
    const running = await open({ history: { size: 10 }, replay: 5 }, { backplane: new Held() });
    const { registry } = running.app;
    registry.sendTextToRoom("/org/7", "old");
    const client = await running.open("/org/7");
    registry.join(newestConnection(running.app), "/org/7/a");
    registry.sendTextToRoom("/org/7/**", "tree");
    registry.sendTextToRoom("/org/7", "new");
    registry.sendTextToRoom("/org/**", "tree again");
    read();
    const received = [];
    while (received.length < 4) received.push(await client.readText());
    expect(received.slice(0, 1)).toEqual(["old"]);
    expect(received.slice(1).toSorted()).toEqual(["new", "tree", "tree again"]);
    expect(await receivedBy(running.app, [client])).toEqual([[]]);
  });
});

describe("the name of a tree", () => {
  it("is refused to clients with 400, in any spelling", async () => {
    const running = await open();
    const targets = [
      "/org/7/**",
      "/org/7/**/",
      "/**",
      "/*",
      "/org/*",
      "/org/**/x",
      "/org/%2A%2A",
      "/org/%2a",
      "/%2a%2A/x",
    ];
    for (const target of [...targets, "/org/*%2a", "/org/**?x=1"]) {
      expect((await answerTo(running.port, upgradeRequest(target))).split("\r\n")[0]).toBe("HTTP/1.1 400 Bad Request");
      await expect(connect(running.app, target)).rejects.toMatchObject({ status: 400 });
    }
    expect(running.app.status()).toMatchObject({ rooms: 0, connections: 0 });
    // Stars are ordinary text if they are not a whole segment.
    const [named] = await clientsAt(running, ["/org/***"]);
    const [other] = await clientsAt(running, ["/org/a**"]);
    running.app.registry.sendTextToRoom("/org/***", "three stars");
    expect(await receivedBy(running.app, named && other ? [named, other] : [])).toEqual([["three stars"], []]);
  });

  it("cannot be joined, left, subscribed to, connected to, or built from parameters", async () => {
    const running = await open();
    const { registry } = running.app;
    await running.open("/org/7");
    const connection = newestConnection(running.app);
    const noPath = expect.objectContaining({ code: "ERR_PATH", message: expect.stringContaining('"**"') });
    expect(() => registry.join(connection, "/a/**")).toThrow(noPath);
    expect(() => registry.leave(connection, "/a/**")).toThrow(noPath);
    expect(() => registry.room("/a/**")).toThrow(noPath);
    expect(registry.roomOf(connection.id, "/org/7/**")).toBeUndefined();
    expect(registry.roomsOf(connection).map(({ path }) => path)).toEqual(["/org/7"]);
    const refused = expect.objectContaining({ code: expect.stringMatching(/^ERR_(PATH|PARAMS)$/) });
    for (const value of ["*", "**"]) expect(() => roomPath("/org/:id", { id: value })).toThrow(refused);
    for (const value of ["**", "7/**", "**/7"])
      expect(() => roomPath("/org/**:rest", { rest: value })).toThrow(refused);
  });

  const malformed: readonly (readonly [path: string, why: string])[] = [
    ["/org/**/x", 'a "**" segment'],
    ["/**/**", 'a "**" segment'],
    ["/org/**/", 'a "**" segment'],
    ["/a/*", 'a "*" segment'],
    ["/*/**", 'a "*" segment'],
    ["org/**", 'does not begin with "/"'],
    ["**", 'does not begin with "/"'],
    ["", 'does not begin with "/"'],
    ["/org/../**", 'a ".." segment'],
    ["/org?/**", "character"],
    ["/org//7/**", "an empty segment"],
    ["/org//**", "an empty segment"],
    ["//**", "an empty segment"],
    ["///**", "an empty segment"],
  ];

  for (const [path, why] of malformed) {
    it(`is not ${JSON.stringify(path)}: that is ERR_PATH, and reaches no client`, async () => {
      const running = await open();
      const { registry } = running.app;
      const clients = await clientsAt(running, ["/", "/org", "/org/7", "/a/b"]);
      const error = expect.objectContaining({ code: "ERR_PATH", message: expect.stringContaining(why) });
      expect(() => registry.sendJSONToRoom(path, 1)).toThrow(error);
      expect(() => registry.sendTextToRoom(path, "x")).toThrow(error);
      expect(() => registry.sendBinaryToRoom(path, new Uint8Array(1))).toThrow(error);
      expect(await receivedBy(running.app, clients)).toEqual([[], [], [], []]);
    });
  }
});

// Few segments, so that deletes often hit existing paths, which often have paths above and below.
const segment = fc.constantFrom("7", "70", "__proto__");
const anyPath = fc.array(segment, { maxLength: 3 }).map((segments) => roomName(`/${segments.join("/")}`));
const change = fc.record({ act: fc.constantFrom("set", "set", "delete"), path: anyPath });

describe("the tree of paths", () => {
  it("finds the same paths as a full scan, after any sets and deletes", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.array(anyPath, { maxLength: 5 }), (changes, asked) => {
        const tree = new PathTree<string>();
        const model = new Map<RoomPath, string>();
        for (const [n, { act, path }] of changes.entries()) {
          if (act === "set") {
            tree.set(path, `${n} ${path}`);
            model.set(path, `${n} ${path}`);
          } else {
            tree.delete(path);
            model.delete(path);
          }
          for (const base of [roomName("/"), path, ...asked]) {
            const expected = [...model].filter(
              ([one]) => one === base || one.startsWith(base === "/" ? base : `${base}/`),
            );
            expect(tree.below(base).toSorted()).toEqual(expected.map(([, value]) => value).toSorted());
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("finds 200,000 sibling paths, and a very deep one", () => {
    const tree = new PathTree<number>();
    for (let n = 0; n < 200_000; n += 1) tree.set(roomName(`/org/${n}`), n);
    const deep = roomName(`/deep${"/a".repeat(15)}`);
    tree.set(deep, -1);
    expect(tree.below(roomName("/deep"))).toEqual([-1]);
    const found = tree.below(roomName("/org"));
    expect(found).toHaveLength(200_000);
    expect(new Set(found).size).toBe(200_000);
  });
});
