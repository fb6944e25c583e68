import { describe, expect, it, onTestFinished } from "vitest";
import {
  App,
  type AppOptions,
  commandEvents,
  type Publication,
  type RouteOptions,
  type Subscription,
  WebSocketHandler,
} from "../../src/index.js";
import { connect } from "../../src/testing/index.js";

class Member extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function appWith(options: AppOptions = {}, route: RouteOptions = {}): App {
  const app = new App(options).route("/chat/**", Member, route).route("/**", Member);
  onTestFinished(() => app.close({ timeoutMs: 200 }));
  return app;
}

/** All publications up to and without the text "end". */
async function upToEnd(subscription: Subscription): Promise<Publication[]> {
  const all: Publication[] = [];
  for await (const publication of subscription) {
    if (publication.text === "end") return all;
    all.push(publication);
  }
  return all;
}

describe("registry.subscribe() to a tree", () => {
  it("receives publications to the room itself and to all rooms below it, each with its room, in order", async () => {
    const { registry } = appWith();
    const subscription = registry.subscribe("/chat/**");
    registry.sendTextToRoom("/chat", "itself");
    registry.sendJSONToRoom("/chat/a", { n: 1 });
    registry.sendBinaryToRoom("/chat/a/b/c", new Uint8Array([7]));
    for (const path of ["/", "/chats", "/chat2/a", "/other/chat/a"]) registry.sendTextToRoom(path, "outside");
    registry.sendTextToAll("all");
    registry.sendTextToUser("ann", "user");
    registry.channel("main").sendText("channel");
    registry.sendTextToRoom("/chat/a", "end");
    expect(await upToEnd(subscription)).toEqual([
      { room: "/chat", text: "itself" },
      { room: "/chat/a", data: { n: 1 } },
      { room: "/chat/a/b/c", bytes: new Uint8Array([7]) },
    ]);
  });

  it("receives each publication once, with any members, subscriptions and other trees", async () => {
    const app = appWith();
    const { registry } = app;
    const client = await connect(app, "/chat/a");
    const [all, chats, room] = ["/**", "/chat/**", "/chat/a"].map((path) => registry.subscribe(path));
    client.sendText("from a client");
    expect(await client.readText()).toBe("from a client");
    registry.sendTextToRoom("/chat/a", "end");
    if (all === undefined || chats === undefined || room === undefined) throw new Error("there are three");
    expect(await upToEnd(all)).toEqual([{ room: "/chat/a", text: "from a client" }]);
    expect(await upToEnd(chats)).toEqual([{ room: "/chat/a", text: "from a client" }]);
    expect(await upToEnd(room)).toEqual([{ text: "from a client" }]);
  });

  it("receives messages to a tree that shares rooms with it, with the name of that tree", async () => {
    const { registry } = appWith();
    const subscription = registry.subscribe("/chat/a/**");
    for (const tree of ["/**", "/chat/**", "/chat/a/**", "/chat/a/b/**"]) registry.sendJSONToRoom(tree, 1);
    for (const tree of ["/chat/ab/**", "/chat/b/**", "/other/**"]) registry.sendJSONToRoom(tree, 2);
    registry.sendTextToRoom("/chat/a", "end");
    expect(await upToEnd(subscription)).toEqual([
      { room: "/**", data: 1 },
      { room: "/chat/**", data: 1 },
      { room: "/chat/a/**", data: 1 },
      { room: "/chat/a/b/**", data: 1 },
    ]);
  });

  it("opens no room: no event, no count, no state, and no share of roomsMax", async () => {
    const app = appWith({ limits: { roomsMax: 1 } });
    const { registry } = app;
    const events: string[] = [];
    registry.on("room", ({ path }) => events.push(`room ${path}`));
    registry.on("room-empty", ({ path }) => events.push(`room-empty ${path}`));
    const subscription = registry.subscribe("/chat/**");
    for (let n = 0; n < 100; n += 1) registry.sendJSONToRoom(`/chat/${n}`, n);
    registry.sendTextToRoom("/chat/0", "end");
    expect(await upToEnd(subscription)).toHaveLength(100);
    expect(events).toEqual([]);
    expect(app.status().rooms).toBe(0);
    expect(registry.rooms).toEqual([]);
    expect(() => registry.room("/chat/0").state).toThrow(expect.objectContaining({ code: "ERR_NO_ROOM" }));
  });

  it("yields the position in a room with history, and does not change the history", async () => {
    const { registry } = appWith({}, { history: { size: 10 } });
    const subscription = registry.subscribe("/chat/**");
    const position = await registry.room("/chat/a").publish("one");
    registry.sendTextToRoom("/chat/b", "end");
    expect(await upToEnd(subscription)).toEqual([{ room: "/chat/a", data: "one", position }]);
    expect(await registry.room("/chat/a").history()).toEqual([{ data: "one", position }]);
  });

  it("reads an event in the protocol of its room's route", async () => {
    const { registry } = appWith({}, { eventProtocol: commandEvents });
    const subscription = registry.subscribe("/**");
    registry.emitToRoom("/chat/a", "said", 1);
    registry.emitToRoom("/other", "said", 2);
    registry.emitToRoom("/chat/**", "said", 3);
    registry.sendTextToRoom("/", "end");
    expect(await upToEnd(subscription)).toEqual([
      { room: "/chat/a", data: { channel: "/chat/a", cmd: "said", param: 1 } },
      { room: "/other", data: { event: "said", data: 2 } },
      { room: "/chat/**", data: { event: "said", data: 3 } },
    ]);
  });

  it("yields the number of missed publications when its loop is too slow, and delays no client", async () => {
    const { registry } = appWith({ limits: { subscriberMessagesMax: 2 } });
    const subscription = registry.subscribe("/chat/**");
    for (let n = 1; n <= 5; n += 1) registry.sendJSONToRoom(`/chat/${n}`, n);
    expect((await subscription.next()).value).toEqual({ room: "/chat/4", data: 4, missed: 3 });
    expect((await subscription.next()).value).toEqual({ room: "/chat/5", data: 5 });
  });

  it("ends with its loop, its signal or the app, but not with a room", async () => {
    const app = appWith();
    const { registry } = app;
    const abort = new AbortController();
    const [left, aborted, late, open] = [
      registry.subscribe("/chat/**"),
      registry.subscribe("/chat/**", { signal: abort.signal }),
      registry.subscribe("/chat/**", { signal: AbortSignal.abort() }),
      registry.subscribe("/chat/**"),
    ];
    registry.sendTextToRoom("/chat/a", "one");
    for await (const { text } of left) {
      expect(text).toBe("one");
      break;
    }
    abort.abort();
    registry.room("/chat/a").close();
    registry.sendTextToRoom("/chat/a", "two");
    expect(await left.next()).toEqual({ done: true, value: undefined });
    expect(await aborted.next()).toMatchObject({ value: { text: "one" } });
    expect(await aborted.next()).toEqual({ done: true, value: undefined });
    expect(await late.next()).toEqual({ done: true, value: undefined });
    const texts = (async () => {
      const all = [];
      for await (const { text } of open) all.push(text);
      return all;
    })();
    await app.close();
    expect(await texts).toEqual(["one", "two"]);
    expect(await registry.subscribe("/chat/**").next()).toEqual({ done: true, value: undefined });
  });

  it("refuses history, because a tree has no order of its own, and refuses invalid trees and options", () => {
    const { registry } = appWith({}, { history: { size: 10 } });
    const option = (text: string) =>
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining(text) });
    expect(() => registry.subscribe("/chat/**", { replay: 10 })).toThrow(option("replay"));
    expect(() => registry.subscribe("/chat/**", { replay: 0 })).toThrow(option("one room"));
    expect(() => registry.subscribe("/chat/**", { since: { epoch: "a", offset: 1 } })).toThrow(option("since"));
    expect(() => Reflect.apply(registry.subscribe, registry, ["/chat/**", { repaly: 1 }])).toThrow(option("replay"));
    for (const path of ["/chat/*", "/chat/**/a", "chat/**", "", "//**"]) {
      expect(() => registry.subscribe(path)).toThrow(expect.objectContaining({ code: "ERR_PATH" }));
    }
  });
});

describe("registry.subscribe() to a room", () => {
  it("is the same as room.subscribe(): with history, and it keeps the room open", async () => {
    const { registry } = appWith({}, { history: { size: 10 } });
    await registry.room("/chat/a").publish("kept");
    const subscription = registry.subscribe("/chat/a/", { replay: 1 });
    expect(registry.rooms.map(({ path }) => path)).toEqual(["/chat/a"]);
    registry.sendTextToRoom("/chat/**", "tree");
    expect((await subscription.next()).value).toMatchObject({ data: "kept", position: { offset: 1 } });
    expect((await subscription.next()).value).toEqual({ text: "tree" });
    await subscription.return();
    expect(registry.rooms).toEqual([]);
  });
});
