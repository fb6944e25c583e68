import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  App,
  type AppOptions,
  anonymous,
  type Connection,
  type PresenceChange,
  type PresenceOptions,
  type PresenceState,
  type RouteOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, ManualClock, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox, type RunningApp, start } from "../support/app.js";

const graceMs = 5_000;

class Member extends WebSocketHandler {
  override authorize() {
    const id = this.query.get("user");
    return id === null ? anonymous : { id, name: `Name of ${id}`, token: `token-of-${id}` };
  }
  override onConnect() {
    if (this.query.has("watch")) this.watchPresence();
  }
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function appWith(route: RouteOptions, options: AppOptions = {}): App {
  return new App(options).route("/rooms/:name", Member, route).route("/lobby", Member);
}

function open(route: RouteOptions = { presence: "full" }, options: AppOptions = {}): Promise<RunningApp> {
  return start(appWith(route, options));
}

/** Users leave at once, without a grace period. */
function openAtOnce(presence: Partial<PresenceOptions> = {}): Promise<RunningApp> {
  return open({ presence: { mode: "full", leaveGraceMs: 0, ...presence } });
}

/** A presence frame, as clients get it. */
function frame(version: number, count: number, content: object = {}, room = "/rooms/a") {
  return { type: "presence", room, version, count, ...content };
}

const one = (id: string, connections = 1) => ({ id, connections });
const tick = () => new Promise((resolve) => setImmediate(resolve));

/** The connection that opened last. */
function newestConnection(app: App): Connection {
  const connection = app.registry.connections.at(-1);
  if (connection === undefined) throw new Error("there is no connection");
  return connection;
}

/** Connections that wait in the lobby, to join rooms within one tick. */
async function fillLobby({ app, open }: RunningApp, ids: readonly string[]): Promise<Connection[]> {
  const waiting: Connection[] = [];
  for (const id of ids) {
    await open(`/lobby?user=${id}`);
    waiting.push(newestConnection(app));
  }
  return waiting;
}

async function leave({ app }: RunningApp, client: TestClient): Promise<void> {
  const closed = closes(app, 1);
  client.terminate();
  await closed;
}

let ends = 0;

/** The messages that a client has received since the last call. */
async function receivedBy(app: App, client: TestClient): Promise<string[]> {
  await tick();
  ends += 1;
  const end = `end ${ends}`;
  app.registry.sendTextToAll(end);
  const received: string[] = [];
  for (let text = await client.readText(); text !== end; text = await client.readText()) {
    if (!text.startsWith("end")) received.push(text);
  }
  return received;
}

const parsed = (texts: readonly string[]): unknown[] => texts.map((text) => JSON.parse(text));
const idsOf = ({ users }: PresenceState) => users.map(({ id }) => id).toSorted();

describe("room.presence()", () => {
  it("counts a user with several tabs once, and an anonymous connection by its id", async () => {
    const running = await open();
    const room = running.app.registry.room("/rooms/a");
    for (let tab = 0; tab < 3; tab += 1) await running.open("/rooms/a?user=ann");
    const ids: string[] = [];
    for (let n = 0; n < 2; n += 1) {
      await running.open("/rooms/a");
      ids.push(newestConnection(running.app).id);
    }
    const { count, users } = await room.presence();
    expect(count).toBe(3);
    expect(users).toEqual([
      { id: "ann", user: { id: "ann", name: "Name of ann", token: "token-of-ann" }, connections: 3 },
      { id: ids[0], user: undefined, connections: 1 },
      { id: ids[1], user: undefined, connections: 1 },
    ]);
    expect(await running.app.registry.room("/rooms/b").presence()).toEqual({ count: 0, version: 0, users: [] });
  });

  it("counts joined members and members at home, separately for each room", async () => {
    const running = await openAtOnce();
    const { registry } = running.app;
    const [ann, bob] = await fillLobby(running, ["ann", "bob"]);
    if (ann === undefined || bob === undefined) throw new Error("there is no connection");
    await running.open("/rooms/a?user=ann");
    registry.join(ann, "/rooms/a");
    registry.join(ann, "/rooms/a");
    registry.join(bob, "/rooms/a");
    registry.join(bob, "/rooms/b");
    const presence = (path: string) => registry.room(path).presence();
    expect((await presence("/rooms/a")).users).toMatchObject([one("ann", 2), one("bob")]);
    expect((await presence("/rooms/b")).users).toMatchObject([one("bob")]);
    registry.leave(ann, "/rooms/a");
    registry.leave(bob, "/rooms/a");
    expect((await presence("/rooms/a")).users).toMatchObject([one("ann", 1)]);
    expect((await presence("/rooms/b")).users).toMatchObject([one("bob")]);
  });

  it("is counted on demand if presence is off, with version 0, and no change is reported", async () => {
    const running = await open({});
    const { app } = running;
    const reported = new Mailbox<PresenceChange>();
    app.registry.on("presence", (_room, change) => reported.put(change));
    const clients = [await running.open("/rooms/a?user=ann"), await running.open("/rooms/a?user=ann")];
    await running.open("/rooms/a");
    expect(await app.registry.room("/rooms/a").presence()).toMatchObject({
      count: 2,
      version: 0,
      users: [one("ann", 2), one(newestConnection(app).id)],
    });
    for (const client of clients) await leave(running, client);
    // Presence is off, so no leave is delayed either.
    expect(await app.registry.room("/rooms/a").presence()).toMatchObject({
      count: 1,
      users: [one(newestConnection(app).id)],
    });
    await tick();
    expect(reported.all).toEqual([]);
  });

  it("keeps only the count if the route has that mode, and names no user to clients", async () => {
    const running = await openAtOnce({ mode: "count" });
    const ann = await running.open("/rooms/a?user=ann&watch");
    const bob = await running.open("/rooms/a?user=bob");
    await running.open("/rooms/a?user=bob");
    expect(await running.app.registry.room("/rooms/a").presence()).toEqual({ count: 2, version: 2, users: [] });
    await leave(running, bob);
    await leave(running, await running.open("/rooms/a?user=cy"));
    const received = await receivedBy(running.app, ann);
    expect(parsed(received)).toEqual([frame(1, 1), frame(2, 2), frame(3, 3), frame(4, 2)]);
    for (const id of ["ann", "bob", "cy"]) expect(received.join()).not.toContain(id);
  });

  it("accepts __proto__ and constructor as ids, and distinguishes users from connections", async () => {
    const running = await openAtOnce();
    const { app } = running;
    const watcher = await running.open("/rooms/a?user=constructor&watch");
    const proto = await running.open("/rooms/a?user=__proto__");
    await running.open("/rooms/a");
    const anonymous = newestConnection(app).id;
    const namesake = await running.open(`/rooms/a?user=${anonymous}`);
    const room = app.registry.room("/rooms/a");
    expect(await room.presence()).toMatchObject({
      count: 4,
      users: [one("constructor"), one("__proto__"), { ...one(anonymous), user: undefined }, one(anonymous)],
    });
    await leave(running, namesake);
    await leave(running, proto);
    expect(await room.presence()).toMatchObject({
      count: 2,
      users: [one("constructor"), { ...one(anonymous), user: undefined }],
    });
    expect(parsed(await receivedBy(app, watcher)).slice(1)).toEqual([
      frame(2, 2, { joined: [one("__proto__")], left: [] }),
      frame(3, 3, { joined: [one(anonymous)], left: [] }),
      frame(4, 4, { joined: [one(anonymous)], left: [] }),
      frame(5, 3, { joined: [], left: [anonymous] }),
      frame(6, 2, { joined: [], left: ["__proto__"] }),
    ]);
  });
});

describe("a client that watches presence", () => {
  it("gets the roster, then each change with the next version", async () => {
    const running = await openAtOnce();
    const ann = await running.open("/rooms/a?user=ann&watch");
    expect(await ann.readJSON()).toEqual(frame(1, 1, { users: [one("ann")] }));
    const bob = await running.open("/rooms/a?user=bob");
    expect(await ann.readJSON()).toEqual(frame(2, 2, { joined: [one("bob")], left: [] }));
    await running.open("/rooms/a");
    const anonymous = newestConnection(running.app).id;
    expect(await ann.readJSON()).toEqual(frame(3, 3, { joined: [one(anonymous)], left: [] }));
    await leave(running, bob);
    expect(await ann.readJSON()).toEqual(frame(4, 2, { joined: [], left: ["bob"] }));
    const cy = await running.open("/rooms/a?user=cy&watch");
    expect(await cy.readJSON()).toEqual(frame(5, 3, { users: [one("ann"), one(anonymous), one("cy")] }));
    expect(await ann.readJSON()).toEqual(frame(5, 3, { joined: [one("cy")], left: [] }));
    await running.open("/rooms/a?user=dan");
    const last = frame(6, 4, { joined: [one("dan")], left: [] });
    expect([await ann.readJSON(), await cy.readJSON()]).toEqual([last, last]);
  });

  it("gets no leave while one of several tabs is open", async () => {
    const running = await openAtOnce();
    const ann = await running.open("/rooms/a?user=ann&watch");
    const tabs = [];
    for (let tab = 0; tab < 3; tab += 1) tabs.push(await running.open("/rooms/a?user=bob"));
    for (const tab of tabs.slice(1)) await leave(running, tab);
    expect(parsed(await receivedBy(running.app, ann)).slice(1)).toEqual([
      frame(2, 2, { joined: [one("bob")], left: [] }),
    ]);
    for (const tab of tabs.slice(0, 1)) await leave(running, tab);
    expect(parsed(await receivedBy(running.app, ann))).toEqual([frame(3, 1, { joined: [], left: ["bob"] })]);
  });

  it("gets the changes of one tick together, and no user who came and left within it", async () => {
    const running = await openAtOnce();
    const { registry } = running.app;
    const ann = await running.open("/rooms/a?user=ann&watch");
    const waiting = await fillLobby(running, ["bob", "cy", "dan", "bob"]);
    for (const connection of waiting) registry.join(connection, "/rooms/a");
    expect(parsed(await receivedBy(running.app, ann)).slice(1)).toEqual([
      frame(2, 4, { joined: [one("bob", 2), one("cy"), one("dan")], left: [] }),
    ]);
    const [bob, cy, dan, tab] = waiting;
    const [eve] = await fillLobby(running, ["eve"]);
    if (bob === undefined || cy === undefined || dan === undefined || tab === undefined || eve === undefined) {
      throw new Error("there is no connection");
    }
    for (const connection of [bob, cy, dan]) registry.leave(connection, "/rooms/a");
    registry.join(eve, "/rooms/a");
    registry.join(dan, "/rooms/a");
    expect(parsed(await receivedBy(running.app, ann))).toEqual([frame(3, 4, { joined: [one("eve")], left: ["cy"] })]);
    registry.join(cy, "/rooms/a");
    registry.leave(cy, "/rooms/a");
    registry.leave(dan, "/rooms/a");
    registry.join(dan, "/rooms/a");
    expect(await receivedBy(running.app, ann)).toEqual([]);
    expect(await registry.room("/rooms/a").presence()).toMatchObject({ version: 3, count: 4 });
  });

  it("gets a roster of one version, even if it asks in the tick of other changes", async () => {
    const running = await openAtOnce();
    const { registry } = running.app;
    const ann = await running.open("/rooms/a?user=ann&watch");
    const late = await running.open("/lobby?user=late");
    const connection = newestConnection(running.app);
    const [bob, cy] = await fillLobby(running, ["bob", "cy"]);
    if (bob === undefined || cy === undefined) throw new Error("there is no connection");
    registry.join(bob, "/rooms/a");
    registry.join(connection, "/rooms/a");
    registry.watchPresence(connection, "/rooms/a");
    registry.join(cy, "/rooms/a");
    const last = frame(3, 4, { joined: [one("cy")], left: [] });
    expect(parsed(await receivedBy(running.app, late))).toEqual([
      frame(2, 3, { users: [one("ann"), one("bob"), one("late")] }),
      last,
    ]);
    expect(parsed(await receivedBy(running.app, ann)).slice(1, 3)).toEqual([
      frame(2, 3, { joined: [one("bob"), one("late")], left: [] }),
      last,
    ]);
  });

  it("gets changes of a joined room until it leaves it, and again only after another watch", async () => {
    const running = await openAtOnce();
    const { app } = running;
    const ann = await running.open("/lobby?user=ann");
    const connection = newestConnection(app);
    app.registry.join(connection, "/rooms/a");
    app.registry.watchPresence(connection, "/rooms/a");
    const bob = await running.open("/rooms/a?user=bob");
    expect(parsed(await receivedBy(app, ann))).toEqual([
      frame(1, 1, { users: [one("ann")] }),
      frame(2, 2, { joined: [one("bob")], left: [] }),
    ]);
    app.registry.leave(connection, "/rooms/a");
    await running.open("/rooms/a?user=cy");
    expect(await receivedBy(app, ann)).toEqual([]);
    app.registry.join(connection, "/rooms/a");
    await leave(running, bob);
    expect(await receivedBy(app, ann)).toEqual([]);
    app.registry.watchPresence(connection, "/rooms/a");
    const { version } = await app.registry.room("/rooms/a").presence();
    expect(parsed(await receivedBy(app, ann))).toEqual([frame(version, 2, { users: [one("cy"), one("ann")] })]);
  });

  it("gets each change once, after any number of watch requests", async () => {
    const running = await openAtOnce();
    const { app } = running;
    const ann = await running.open("/rooms/a?user=ann&watch");
    await ann.readJSON();
    app.registry.watchPresence(newestConnection(app), "/rooms/a");
    await running.open("/rooms/a?user=bob");
    expect(parsed(await receivedBy(app, ann))).toEqual([
      frame(1, 1, { users: [one("ann")] }),
      frame(2, 2, { joined: [one("bob")], left: [] }),
    ]);
  });

  it("gets the current number of connections of each user, although another tab is not a new version", async () => {
    const clock = new ManualClock();
    const running = await open({ presence: "full" }, { clock });
    const first = await running.open("/rooms/a?user=ann&watch");
    const bob = await running.open("/rooms/a?user=bob&watch");
    expect(await first.readJSON()).toEqual(frame(1, 1, { users: [one("ann")] }));
    expect(await bob.readJSON()).toEqual(frame(2, 2, { users: [one("ann"), one("bob")] }));
    const second = await running.open("/rooms/a?user=ann&watch");
    expect(await second.readJSON()).toEqual(frame(2, 2, { users: [one("ann", 2), one("bob")] }));
    await leave(running, bob);
    const third = await running.open("/rooms/a?user=ann&watch");
    expect(await third.readJSON()).toEqual(frame(2, 2, { users: [one("ann", 3), one("bob", 0)] }));
  });

  it("gets nothing before it watches", async () => {
    const running = await openAtOnce();
    const ann = await running.open("/rooms/a?user=ann");
    await running.open("/rooms/a?user=bob&watch");
    expect(await receivedBy(running.app, ann)).toEqual([]);
  });

  it("is refused with ERR_PRESENCE in a room that it is not in, or where presence is off", async () => {
    const reported = new Mailbox<unknown>();
    class Asking extends WebSocketHandler {
      onMessage(path: string) {
        try {
          this.watchPresence(path === "" ? undefined : path);
          reported.put("watches");
        } catch (error) {
          reported.put(error);
        }
      }
    }
    const app = appWith({ presence: "full" }).route("/asking", Asking).route("/counted", Asking, { presence: "count" });
    const running = await start(app);
    await running.open("/rooms/a");
    const asking = await running.open("/asking");
    app.registry.join(newestConnection(app), "/rooms/b");
    const notIn = { code: "ERR_PRESENCE", message: expect.stringContaining("join") };
    const isOff = { code: "ERR_PRESENCE", message: expect.stringContaining('presence: "full"') };
    for (const path of ["/rooms/a", "/rooms/empty", "", "/asking", "/rooms/b", "/rooms/**", "rooms"]) {
      asking.sendText(path);
    }
    expect(await reported.have(7)).toMatchObject([
      ...[notIn, notIn, isOff, isOff, "watches"],
      ...[{ code: "ERR_PATH" }, { code: "ERR_PATH" }],
    ]);
    const counted = await running.open("/counted");
    counted.sendText("");
    expect((await reported.have(8)).at(-1)).toBe("watches");
    expect(await counted.readJSON()).toEqual(frame(1, 1, {}, "/counted"));
  });
});

describe("the shown user", () => {
  it("is the id and the result of show, and no frame has anything else", async () => {
    const running = await openAtOnce({
      show: (user) => (user instanceof Object && "name" in user ? { name: user.name } : "a guest"),
    });
    const ann = await running.open("/rooms/a?user=ann&watch");
    const bob = await running.open("/rooms/a?user=bob&watch");
    await running.open("/rooms/a");
    await leave(running, bob);
    const shown = (id: string) => ({ ...one(id), user: { name: `Name of ${id}` } });
    const received = await receivedBy(running.app, ann);
    expect(parsed(received)).toEqual([
      frame(1, 1, { users: [shown("ann")] }),
      frame(2, 2, { joined: [shown("bob")], left: [] }),
      frame(3, 3, { joined: [{ ...one(newestConnection(running.app).id), user: "a guest" }], left: [] }),
      frame(4, 2, { joined: [], left: ["bob"] }),
    ]);
    expect(received.join()).not.toContain("token");
  });

  it("is only the id without show, in rosters and in changes", async () => {
    const running = await openAtOnce();
    const ann = await running.open("/rooms/a?user=ann&watch");
    const bob = await running.open("/rooms/a?user=bob&watch");
    await leave(running, ann);
    const received = (await receivedBy(running.app, bob)).join();
    expect(received).toContain("ann");
    for (const hidden of ["token", "Name", '"user"']) expect(received).not.toContain(hidden);
  });

  /** The behaviour of show for one user; it shows the others normally. */
  const failures: readonly (readonly [what: string, show: () => unknown, reported: string])[] = [
    [
      "throws",
      () => {
        throw new Error("cannot be shown");
      },
      "cannot be shown",
    ],
    ["returns a BigInt", () => 7n, "BigInt"],
    [
      "returns a circle",
      () => {
        const circle: { self?: object } = {};
        circle.self = circle;
        return circle;
      },
      "circular",
    ],
  ];

  for (const [what, showBad, reported] of failures) {
    const show = (user: unknown) => (user instanceof Object && "id" in user && user.id === "bad" ? showBad() : "fine");

    it(`harms no member if show ${what}, and the failure is reported`, async () => {
      const running = await openAtOnce({ show });
      const ann = await running.open("/rooms/a?user=ann&watch");
      const bad = await running.open("/rooms/a?user=bad");
      bad.sendText("alive");
      for (let text = ""; text !== "alive"; ) text = await ann.readText();
      expect(await bad.readText()).toBe("alive");
      await tick();
      expect(running.errors.map(({ message }) => message)).toEqual([expect.stringContaining(reported)]);
      await leave(running, bad);
      await running.open("/rooms/a?user=bob");
      expect(await running.app.registry.room("/rooms/a").presence()).toMatchObject({ count: 2 });
      const received = parsed(await receivedBy(running.app, ann));
      expect(received.at(-1)).toMatchObject({ count: 2, joined: [{ ...one("bob"), user: "fine" }] });
    });

    it(`skips no version if show ${what}`, async () => {
      const running = await openAtOnce({ show });
      const ann = await running.open("/rooms/a?user=ann&watch");
      await running.open("/rooms/a?user=bad");
      await tick();
      await running.open("/rooms/a?user=bob");
      const received = parsed(await receivedBy(running.app, ann)) as { version: number }[];
      expect(received.map(({ version }) => version)).toEqual([1, 2, 3]);
    });

    it(`closes no new watcher if show ${what} for another user`, async () => {
      const running = await openAtOnce({ show });
      await running.open("/rooms/a?user=bad");
      await tick();
      const bob = await running.open("/rooms/a?user=bob&watch");
      bob.sendText("alive");
      const received: string[] = [];
      for await (const { text } of bob) {
        received.push(text);
        if (text === "alive") break;
      }
      expect(received.at(-1)).toBe("alive");
      expect(JSON.parse(received[0] ?? "")).toMatchObject({
        count: 2,
        users: expect.arrayContaining([expect.anything()]),
      });
      expect(running.errors.map(({ message }) => message)).toContainEqual(expect.stringContaining(reported));
    });
  }

  it("does no harm if the result of show later becomes a value that JSON cannot express", async () => {
    const badge: { name: string; self?: unknown } = { name: "badge" };
    const running = await openAtOnce({ show: () => badge });
    const { app } = running;
    const ann = await running.open("/rooms/a?user=ann&watch");
    const [bob] = await fillLobby(running, ["bob"]);
    if (bob === undefined) throw new Error("there is no connection");
    app.registry.join(bob, "/rooms/a");
    badge.self = badge;
    const cy = await running.open("/rooms/a?user=cy&watch");
    cy.sendText('"alive"');
    const received: unknown[] = [];
    for await (const message of cy) if (received.push(message.json()) === 2) break;
    expect(received).toEqual([expect.objectContaining({ version: 3, count: 3 }), "alive"]);
    expect(parsed(await receivedBy(app, ann))).toMatchObject([{ version: 1 }, { version: 2 }, { version: 3 }, "alive"]);
  });

  it("does no harm if show is async and rejects, which is reported like other failures", async () => {
    const show = () => Promise.reject(new Error("not now"));
    const running = await openAtOnce({ show });
    const ann = await running.open("/rooms/a?user=ann&watch");
    expect(await ann.readJSON()).toMatchObject({ version: 1, count: 1 });
    await tick();
    expect(running.errors.map(({ message }) => message)).toEqual(["not now"]);
  });
});

/** A clock that counts the running grace periods. */
class GraceClock extends ManualClock {
  running = 0;

  override setTimeout(callback: () => void, ms: number) {
    if (ms !== graceMs) return super.setTimeout(callback, ms);
    this.running += 1;
    let over = false;
    const end = () => {
      if (!over) this.running -= 1;
      over = true;
    };
    const timer = super.setTimeout(() => {
      end();
      callback();
    }, ms);
    const cancel = () => {
      end();
      timer.cancel();
    };
    return { cancel };
  }
}

describe("a user who leaves", () => {
  async function openWithClock(clock: ManualClock): Promise<RunningApp> {
    const limits = { heartbeatMs: false, closeMs: 1_000_000 } as const;
    return open({ presence: { mode: "full", leaveGraceMs: graceMs } }, { clock, limits });
  }

  it("and returns within the grace period has not left: no change is sent, and none later", async () => {
    const clock = new ManualClock();
    const running = await openWithClock(clock);
    const room = running.app.registry.room("/rooms/a");
    const ann = await running.open("/rooms/a?user=ann&watch");
    const bob = await running.open("/rooms/a?user=bob");
    expect(parsed(await receivedBy(running.app, ann))).toHaveLength(2);
    await leave(running, bob);
    clock.advance(graceMs - 1);
    expect(await room.presence()).toMatchObject({ version: 2, count: 2, users: [one("ann"), one("bob", 0)] });
    await running.open("/rooms/a?user=bob");
    expect(await room.presence()).toMatchObject({ version: 2, count: 2, users: [one("ann"), one("bob")] });
    clock.advance(10 * graceMs);
    expect(await receivedBy(running.app, ann)).toEqual([]);
    expect(await room.presence()).toMatchObject({ version: 2, count: 2 });
  });

  it("is reported as left after the grace period, in one change", async () => {
    const clock = new ManualClock();
    const running = await openWithClock(clock);
    const ann = await running.open("/rooms/a?user=ann&watch");
    const tabs = [await running.open("/rooms/a?user=bob"), await running.open("/rooms/a?user=bob")];
    const cy = await running.open("/rooms/a?user=cy");
    for (const tab of [...tabs, cy]) await leave(running, tab);
    clock.advance(graceMs - 1);
    expect(parsed(await receivedBy(running.app, ann)).slice(1)).toMatchObject([{ version: 2 }, { version: 3 }]);
    clock.advance(1);
    expect(parsed(await receivedBy(running.app, ann))).toEqual([frame(4, 1, { joined: [], left: ["bob", "cy"] })]);
    clock.advance(10 * graceMs);
    expect(await receivedBy(running.app, ann)).toEqual([]);
  });

  it("again after a return has the whole grace period again", async () => {
    const clock = new ManualClock();
    const running = await openWithClock(clock);
    const ann = await running.open("/rooms/a?user=ann&watch");
    await leave(running, await running.open("/rooms/a?user=bob"));
    clock.advance(graceMs - 1);
    await leave(running, await running.open("/rooms/a?user=bob"));
    clock.advance(graceMs - 1);
    expect(parsed(await receivedBy(running.app, ann)).slice(1)).toMatchObject([{ version: 2 }]);
    clock.advance(1);
    expect(parsed(await receivedBy(running.app, ann))).toEqual([frame(3, 1, { joined: [], left: ["bob"] })]);
  });

  it("has a grace period in joined rooms too, separate for each room", async () => {
    const clock = new ManualClock();
    const running = await openWithClock(clock);
    const { registry } = running.app;
    const ann = await running.open("/rooms/a?user=ann&watch");
    const [bob] = await fillLobby(running, ["bob"]);
    if (bob === undefined) throw new Error("there is no connection");
    for (const path of ["/rooms/a", "/rooms/b"]) registry.join(bob, path);
    await receivedBy(running.app, ann);
    registry.leave(bob, "/rooms/a");
    clock.advance(graceMs - 1);
    registry.join(bob, "/rooms/a");
    clock.advance(graceMs);
    expect(await receivedBy(running.app, ann)).toEqual([]);
    registry.leaveAll(bob);
    clock.advance(graceMs);
    expect(parsed(await receivedBy(running.app, ann))).toEqual([frame(3, 1, { joined: [], left: ["bob"] })]);
  });

  it("without an id has left at once, because no client could return as the same user", async () => {
    const running = await openWithClock(new ManualClock());
    const ann = await running.open("/rooms/a?user=ann&watch");
    const anonymous = await running.open("/rooms/a");
    const { id } = newestConnection(running.app);
    await leave(running, anonymous);
    expect(parsed(await receivedBy(running.app, ann)).at(-1)).toEqual(frame(3, 1, { joined: [], left: [id] }));
  });

  it("has left at once if the route has no grace period", async () => {
    const running = await open({ presence: { mode: "full", leaveGraceMs: 0 } }, { clock: new ManualClock() });
    const ann = await running.open("/rooms/a?user=ann&watch");
    await leave(running, await running.open("/rooms/a?user=bob"));
    expect(parsed(await receivedBy(running.app, ann)).at(-1)).toEqual(frame(3, 1, { joined: [], left: ["bob"] }));
    expect(idsOf(await running.app.registry.room("/rooms/a").presence())).toEqual(["ann"]);
  });

  /** The reports about rooms: joins, leaves, and freed rooms with their state. */
  function log({ app: { registry } }: RunningApp): Mailbox<unknown> {
    const reported = new Mailbox<unknown>();
    registry.on("presence", ({ path, size }, { version, count, joined, left }) => {
      reported.put([path, size, version, count, joined.map(({ id }) => id), left.map(({ id }) => id)]);
    });
    registry.on("room-empty", ({ path, state }) => reported.put(`freed ${path}: ${state.get("draft")}`));
    return reported;
  }

  it("as the last one has a grace period too, and the room is freed after it", async () => {
    const clock = new GraceClock();
    const running = await openWithClock(clock);
    const { registry } = running.app;
    const reported = log(running);
    const [ann, bob] = [await running.open("/rooms/a?user=ann"), await running.open("/rooms/a?user=bob")];
    registry.room("/rooms/a").state.set("draft", "text");
    await leave(running, bob);
    clock.advance(1);
    await leave(running, ann);
    expect(clock.running).toBe(2);
    expect(running.app.status()).toMatchObject({ rooms: 1 });
    expect(await registry.room("/rooms/a").presence()).toMatchObject({
      count: 2,
      users: [one("ann", 0), one("bob", 0)],
    });
    clock.advance(graceMs - 1);
    await tick();
    expect(reported.all.slice(2)).toEqual([["/rooms/a", 0, 3, 1, [], ["bob"]]]);
    clock.advance(1);
    expect(clock.running).toBe(0);
    expect(running.app.status()).toMatchObject({ rooms: 0 });
    expect(reported.all.slice(3)).toEqual([["/rooms/a", 0, 4, 0, [], ["ann"]], "freed /rooms/a: text"]);
    expect(await registry.room("/rooms/a").presence()).toEqual({ count: 0, version: 0, users: [] });
    const cy = await running.open("/rooms/a?user=cy&watch");
    clock.advance(10 * graceMs);
    expect(parsed(await receivedBy(running.app, cy))).toEqual([frame(1, 1, { users: [one("cy")] })]);
    expect(reported.all).toHaveLength(6);
  });

  it("and is alone has not left after a reload, and finds the room unchanged", async () => {
    const clock = new GraceClock();
    const running = await openWithClock(clock);
    const reported = log(running);
    for (let reload = 0; reload < 3; reload += 1) {
      const ann = await running.open("/rooms/a?user=ann");
      const { state } = running.app.registry.room("/rooms/a");
      expect(state.get("draft") ?? 0).toBe(reload);
      state.set("draft", reload + 1);
      await leave(running, ann);
      clock.advance(graceMs - 1);
    }
    await tick();
    expect(reported.all).toEqual([["/rooms/a", 1, 1, 1, ["ann"], []]]);
    clock.advance(1);
    expect(reported.all.slice(1)).toEqual([["/rooms/a", 0, 2, 0, [], ["ann"]], "freed /rooms/a: 3"]);
  });

  it("without an id frees the room at once, for any grace period", async () => {
    const clock = new GraceClock();
    const running = await openWithClock(clock);
    const reported = log(running);
    const anonymous = await running.open("/rooms/a");
    const { id } = newestConnection(running.app);
    await leave(running, anonymous);
    expect(clock.running).toBe(0);
    expect(running.app.status()).toMatchObject({ rooms: 0 });
    expect(reported.all.at(-2)).toEqual(["/rooms/a", 0, 2, 0, [], [id]]);
    expect(reported.all.at(-1)).toBe("freed /rooms/a: undefined");
  });

  it("has left when the app is closed, which waits for no grace period and leaves no timer", async () => {
    const clock = new GraceClock();
    const running = await openWithClock(clock);
    const reported = log(running);
    await leave(running, await running.open("/rooms/a?user=ann"));
    await running.open("/rooms/a?user=bob");
    await running.open("/rooms/b?user=cy");
    expect(clock.running).toBe(1);
    await running.app.close({ timeoutMs: 1_000 });
    expect(clock.running).toBe(0);
    expect(running.app.status()).toMatchObject({ state: "closed", rooms: 0 });
    const ends = reported.all.slice(-4);
    expect(ends).toMatchObject([
      ["/rooms/a", 0, expect.any(Number), 0, [], ["ann", "bob"]],
      "freed /rooms/a: undefined",
      ["/rooms/b", 0, 2, 0, [], ["cy"]],
      "freed /rooms/b: undefined",
    ]);
  });

  it("as the last one has a grace period too if server code subscribes to the room", async () => {
    const clock = new GraceClock();
    const running = await openWithClock(clock);
    const { registry } = running.app;
    const changes = new Mailbox<PresenceChange>();
    registry.on("presence", (_room, change) => changes.put(change));
    const subscription = registry.room("/rooms/a").subscribe();
    await leave(running, await running.open("/rooms/a?user=ann"));
    await running.open("/rooms/a?user=ann");
    await leave(running, await running.open("/rooms/a?user=ann"));
    clock.advance(10 * graceMs);
    await tick();
    expect(changes.all).toMatchObject([{ version: 1, count: 1, joined: [one("ann")] }]);
    const [connection] = registry.connections;
    if (connection === undefined) throw new Error("there is no connection");
    registry.leave(connection, "/rooms/a");
    expect(clock.running).toBe(1);
    clock.advance(graceMs);
    await tick();
    expect(changes.all.slice(1)).toMatchObject([{ version: 2, count: 0, left: [one("ann", 0)] }]);
    await subscription.return();
    expect(running.app.status()).toMatchObject({ rooms: 0 });
  });
});

describe('registry.on("presence")', () => {
  it("reports each change to server code once per tick, with whole users, until it is removed", async () => {
    const running = await openAtOnce();
    const { registry } = running.app;
    const reported = new Mailbox<unknown>();
    const listener = (room: { path: string; size: number }, change: PresenceChange) =>
      reported.put({ ...change, path: room.path, size: room.size });
    const remove = registry.on("presence", listener);
    const waiting = await fillLobby(running, ["ann", "bob"]);
    for (const connection of waiting) registry.join(connection, "/rooms/a");
    const [ann, bob] = waiting;
    const user = (id: string) => expect.objectContaining({ id });
    const whole = (id: string, connections = 1) => ({ id, connections, user: user(id) });
    expect(await reported.have(1)).toEqual([
      { path: "/rooms/a", size: 2, version: 1, count: 2, joined: [whole("ann"), whole("bob")], left: [] },
    ]);
    if (ann === undefined || bob === undefined) throw new Error("there is no connection");
    registry.leave(ann, "/rooms/a");
    expect((await reported.have(2)).slice(1)).toEqual([
      { path: "/rooms/a", size: 1, version: 2, count: 1, joined: [], left: [whole("ann", 0)] },
    ]);
    remove();
    registry.leave(bob, "/rooms/a");
    await tick();
    expect(reported.all).toHaveLength(2);
  });

  it("reports users of a room that only counts, because server code may know them", async () => {
    const running = await openAtOnce({ mode: "count" });
    const reported = new Mailbox<PresenceChange>();
    running.app.registry.on("presence", (_room, change) => reported.put(change));
    await leave(running, await running.open("/rooms/a?user=ann"));
    expect(await reported.have(2)).toMatchObject([
      { version: 1, count: 1 },
      { version: 2, count: 0 },
    ]);
  });

  it("continues when a listener throws, and reports the error", async () => {
    const running = await openAtOnce();
    running.app.registry.on("presence", () => {
      throw new Error("a listener");
    });
    const ann = await running.open("/rooms/a?user=ann&watch");
    await running.open("/rooms/a?user=bob");
    expect(parsed(await receivedBy(running.app, ann))).toMatchObject([{ version: 1 }, { version: 2 }]);
    expect(running.errors.map(({ message }) => message)).toEqual(["a listener", "a listener"]);
  });
});

/** The roster of a watcher: a full roster, and then one change after another. */
class Mirror {
  readonly #ids = new Set<string>();
  #version = 0;

  get all(): string[] {
    return [...this.#ids].toSorted();
  }

  take({ version, count, users, joined = [], left = [] }: Reported): void {
    if (users === undefined) expect(version).toBe(this.#version + 1);
    else this.#ids.clear();
    this.#version = version;
    for (const id of left) expect(this.#ids.delete(id)).toBe(true);
    for (const { id } of users ?? joined) {
      expect(this.#ids.has(id)).toBe(false);
      this.#ids.add(id);
    }
    expect(this.#ids.size).toBe(count);
  }
}

interface Reported {
  readonly version: number;
  readonly count: number;
  readonly users?: readonly { id: string }[];
  readonly joined?: readonly { id: string }[];
  readonly left?: readonly string[];
}

/** A simple model of presence: users with a connection, and users who left a short while ago. */
class Model {
  readonly inside = new Set<Connection>();
  readonly #lastSeen = new Map<string, number>();
  #now = 0;

  constructor(readonly graceMs: number) {}

  wait(ms: number): void {
    this.#now += ms;
  }

  enter(connection: Connection): void {
    this.inside.add(connection);
  }

  leave(connection: Connection): void {
    if (this.inside.delete(connection) && userOf(connection) !== undefined) {
      this.#lastSeen.set(idOf(connection), this.#now);
    }
  }

  get ids(): string[] {
    const waitedFor = [...this.#lastSeen].filter(([, at]) => this.#now - at < this.graceMs).map(([id]) => id);
    return [...new Set([...[...this.inside].map(idOf), ...waitedFor])].toSorted();
  }
}

function userOf({ request }: Connection): string | undefined {
  return request.query.get("user") ?? undefined;
}

function idOf(connection: Connection): string {
  return userOf(connection) ?? connection.id;
}

const tabs = ["?user=ann", "?user=ann", "?user=bob", "?user=bob", "?user=__proto__", "", ""];

/** An app with one permanent watcher and clients that come and go, with the model of it. */
class World {
  readonly clock = new ManualClock();
  readonly app: App;
  readonly model: Model;
  readonly server = new Mirror();
  readonly errors: Error[] = [];
  readonly clients = new Map<Connection, TestClient>();
  readonly watchers = new Set<Connection>();
  readonly #waiting: Connection[] = [];
  readonly #visitors: Connection[] = [];

  private constructor(leaveGraceMs: number) {
    this.model = new Model(leaveGraceMs);
    this.app = appWith(
      { presence: { mode: "full", leaveGraceMs } },
      { clock: this.clock, limits: { heartbeatMs: false } },
    );
    this.app.on("error", (error) => this.errors.push(error));
    this.app.registry.on("presence", (_room, { version, count, joined, left }) => {
      this.server.take({ version, count, joined, left: left.map(({ id }) => id) });
    });
  }

  static async open(leaveGraceMs: number): Promise<World> {
    const world = new World(leaveGraceMs);
    const keeper = await world.#connect("/rooms/a?watch");
    world.model.enter(keeper);
    world.watchers.add(keeper);
    for (const tab of tabs) world.#waiting.push(await world.#connect(`/lobby${tab}`));
    return world;
  }

  async act({ act, number }: Step): Promise<void> {
    const { registry } = this.app;
    const one = this.#waiting[number % tabs.length];
    if (act === "tick") await tick();
    else if (act === "wait") this.#wait(number);
    else if (act === "come") await this.#come(tabs[number % tabs.length] ?? "");
    else if (act === "go") await this.#go(this.#visitors.splice(number % Math.max(1, this.#visitors.length), 1));
    else if (one !== undefined && act === "join") {
      registry.join(one, "/rooms/a");
      this.model.enter(one);
    } else if (one !== undefined && act === "leave") {
      registry.leave(one, "/rooms/a");
      this.model.leave(one);
      this.watchers.delete(one);
    } else if (one !== undefined && this.model.inside.has(one)) {
      registry.watchPresence(one, "/rooms/a");
      this.watchers.add(one);
    }
  }

  #wait(ms: number): void {
    this.clock.advance(ms);
    this.model.wait(ms);
  }

  async #come(query: string): Promise<void> {
    const visitor = await this.#connect(`/rooms/a${query}`);
    this.#visitors.push(visitor);
    this.model.enter(visitor);
  }

  async #go(leaving: readonly Connection[]): Promise<void> {
    for (const visitor of leaving) {
      const closed = closes(this.app, 1);
      this.clients.get(visitor)?.terminate();
      this.clients.delete(visitor);
      await closed;
      this.model.leave(visitor);
    }
  }

  async #connect(path: string): Promise<Connection> {
    const client = await connect(this.app, path);
    const connection = newestConnection(this.app);
    this.clients.set(connection, client);
    return connection;
  }
}

interface Step {
  readonly act: "join" | "leave" | "watch" | "come" | "go" | "wait" | "tick";
  /** Which tab, which visitor, or how many milliseconds. */
  readonly number: number;
}

const moving = fc.record<Step>({
  act: fc.constantFrom("join", "join", "join", "leave", "leave", "leave", "watch", "come", "go", "tick"),
  number: fc.nat(2 * tabs.length),
});
const waiting = fc.record<Step>({ act: fc.constant("wait"), number: fc.constantFrom(1, 2_499, 2_500, 5_000) });

describe("presence", () => {
  it("of every watcher matches room.presence(), for any mix of tabs that come, leave, join and return", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: moving }, { weight: 1, arbitrary: waiting }), { maxLength: 60 }),
        fc.constantFrom(0, graceMs),
        async (steps, leaveGraceMs) => {
          const world = await World.open(leaveGraceMs);
          const { app, model, server, clients, watchers, errors } = world;
          await using _closing = app;
          for (const one of steps) {
            await world.act(one);
            const state = await app.registry.room("/rooms/a").presence();
            expect([idsOf(state), state.count]).toEqual([model.ids, model.ids.length]);
          }
          for (const [connection, client] of clients) {
            const mirror = new Mirror();
            for (const text of await receivedBy(app, client)) mirror.take(JSON.parse(text));
            if (watchers.has(connection)) expect(mirror.all).toEqual(model.ids);
          }
          expect([server.all, errors]).toEqual([model.ids, []]);
        },
      ),
      { numRuns: 150 },
    );
  }, 120_000);
});
