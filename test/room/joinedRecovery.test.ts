import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type HistoryPage, type HistoryQuery, MemoryBackplane, type Receiver } from "../../src/backplane/index.js";
import { type ClientRoom, type ConnectOptions, connect, connectSocket, type Lost } from "../../src/client/index.js";
import { App, EventHandler, type RoomPath, WebSocketHandler } from "../../src/index.js";
import { pathOfTarget } from "../../src/wire/path.js";
import { until } from "../backplane/cluster.js";
import { Mailbox, start } from "../support/app.js";
import { type EngineName, type EngineServer, startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy, type Proxy as Way } from "../support/proxy.js";
import { RoomsClient } from "../support/roomsClient.js";

class Desk extends EventHandler {
  static events = { leave: "onLeave", join: "onJoin", say: "onSay" };

  onConnect() {
    if (this.query.get("joins") === null) this.join("/org/7");
  }
  onLeave() {
    this.leave("/org/7");
  }
  onJoin() {
    this.join("/org/7");
  }
  onSay(text: string) {
    this.sendJSONToRoom("/org/7", text, { except: this });
  }
}

class Org extends WebSocketHandler {
  onJSON() {
    return undefined;
  }
}

interface Scene {
  readonly apps: readonly App[];
  readonly way: Way;
  readonly room: ClientRoom;
  readonly messages: Mailbox<unknown>;
  readonly lost: Mailbox<Lost>;
  publish(...values: readonly unknown[]): Promise<void>;
  /** Resolves when the room is connected again. */
  reconnect(): Promise<void>;
}

interface SceneOptions {
  readonly engine?: EngineServer | undefined;
  readonly size?: number;
  readonly open?: (port: number, options: ConnectOptions) => ClientRoom;
}

function openRoom(port: number, options: ConnectOptions): ClientRoom {
  return connect(`ws://127.0.0.1:${port}/desk/a`, options);
}

async function startScene({ engine, size = 100, open = openRoom }: SceneOptions = {}): Promise<Scene> {
  const make = async () => {
    const app = new App(engine && { backplane: engine.backplane() })
      .route("/desk/:id", Desk)
      .route("/org/:id", Org, { history: { size } });
    return start(app);
  };
  const [near, far] = [await make(), engine === undefined ? undefined : await make()];
  const way = await startProxy(near.port);
  const lines = new Mailbox<string>();
  const room = open(way.port, { WebSocket, random: () => 0, debug: (line) => lines.put(line) });
  onTestFinished(() => room.close());
  room.on("error", () => undefined);
  const [messages, lost] = [new Mailbox<unknown>(), new Mailbox<Lost>()];
  room.on("message", (message) => messages.put([message.room, message.data]));
  room.on("lost", (one) => lost.put(one));
  await room.opened;
  const publisher = (far ?? near).app.registry.room("/org/7");
  // What is published before is not for this client.
  for (let seen = 1; !lines.all.some((line) => line.includes('"joined"')); seen += 1) await lines.have(seen);
  return {
    apps: [near.app, ...(far === undefined ? [] : [far.app])],
    way,
    room,
    messages,
    lost,
    publish: async (...values) => {
      for (const value of values) await publisher.publish(value);
    },
    reconnect: async () => {
      const opened = new Promise<void>((resolve) => room.on("state", (state) => state === "open" && resolve()));
      way.open();
      await opened;
    },
  };
}

async function cut({ way, room, apps: [app] }: Scene): Promise<void> {
  way.cut();
  await until(() => room.state !== "open" && app?.registry.room("/org/7").size === 0);
}

const of = (...values: readonly unknown[]) => values.map((value) => ["/org/7", value]);

for (const name of ["memory", "redis", "nats"] as const satisfies readonly (EngineName | "memory")[]) {
  const skips = name !== "memory" && missing(name, `joined rooms over ${name}`);
  describe.skipIf(skips)(`a room that a handler joins, over ${name}`, () => {
    it("is recovered after a reconnect: all that was missed, once and in order", async () => {
      const scene = await startScene({ engine: name === "memory" ? undefined : await startEngine(name) });
      await scene.publish(1, 2);
      await scene.messages.have(2);
      for (const round of [3, 5, 7]) {
        await cut(scene);
        await scene.publish(round, round + 1);
        await scene.reconnect();
        await scene.messages.have(round + 1);
      }
      await scene.publish(9);
      expect(await scene.messages.have(9)).toEqual(of(1, 2, 3, 4, 5, 6, 7, 8, 9));
      expect(scene.lost.all.filter(({ room }) => room !== undefined)).toEqual([]);
    });
  });
}

describe("a room that a handler joins", () => {
  it("reports what its history no longer has", async () => {
    const scene = await startScene({ size: 3 });
    await scene.publish(1);
    await scene.messages.have(1);
    await cut(scene);
    await scene.publish(2, 3, 4, 5, 6);
    await scene.reconnect();
    expect(await scene.messages.have(4)).toEqual(of(1, 4, 5, 6));
    expect(scene.lost.all).toContainEqual({ reason: "trimmed", missed: 2, room: "/org/7" });
  });

  it("gives a client that left it and joins again only what follows, and reports no loss", async () => {
    const scene = await startScene();
    await scene.publish(1);
    await scene.messages.have(1);
    await scene.room.request("leave");
    await scene.publish(2);
    await scene.room.request("join");
    await scene.publish(3);
    expect(await scene.messages.have(2)).toEqual(of(1, 3));
    await cut(scene);
    await scene.publish(4);
    await scene.reconnect();
    expect(await scene.messages.have(3)).toEqual(of(1, 3, 4));
    expect(scene.lost.all.filter(({ room }) => room !== undefined)).toEqual([]);
  });

  it("does not repeat to its sender what it was excepted from", async () => {
    const scene = await startScene();
    await scene.room.request("say", "own");
    await scene.publish(1);
    await scene.messages.have(1);
    await cut(scene);
    await scene.publish(2);
    await scene.reconnect();
    expect(await scene.messages.have(2)).toEqual(of(1, 2));
  });

  it("is recovered for each room on a socket with many rooms", async () => {
    const open = (port: number, options: ConnectOptions) => {
      const socket = connectSocket(`ws://127.0.0.1:${port}`, options);
      onTestFinished(() => socket.close());
      return socket.room("/desk/a");
    };
    const scene = await startScene({ open });
    await scene.publish(1);
    await scene.messages.have(1);
    await cut(scene);
    await scene.publish(2, 3);
    await scene.reconnect();
    await scene.publish(4);
    expect(await scene.messages.have(4)).toEqual(of(1, 2, 3, 4));
    expect(scene.lost.all.filter(({ room }) => room !== undefined)).toEqual([]);
  });

  it("is the address of its frames on a socket with many rooms, and the home is none", async () => {
    let receiver: Receiver | undefined;
    class Observed extends MemoryBackplane {
      override start(one: Receiver): void {
        receiver = one;
        super.start(one);
      }
    }
    class Watcher extends WebSocketHandler {
      onConnect() {
        this.join("/org/7");
        this.watchPresence("/org/7");
      }
      onJSON() {
        return undefined;
      }
    }
    const options = { history: { size: 100 }, presence: "full" } as const;
    const app = new App({ backplane: new Observed() })
      .route("/desk/:id", Watcher, options)
      .route("/org/:id", Org, options);
    const { port } = await start(app);
    const client = await RoomsClient.open(port);
    await client.open("/desk/a");
    await client.until(() => client.of("/desk/a", "presence", "joined").length === 3);
    const position = { epoch: "next", offset: 9 };
    receiver?.onGap(pathOfTarget("/org/7"), { missed: 2, position });
    receiver?.onGap(pathOfTarget("/desk/a"), { missed: 3, position });
    await client.until(() => client.of("/desk/a", "lagged").length === 2);
    expect(client.of("/desk/a", "lagged")).toEqual([
      { type: "lagged", room: "/desk/a", address: "/org/7", missed: 2, roomPosition: position },
      { type: "lagged", room: "/desk/a", missed: 3, position },
    ]);
    const list = { type: "presence", room: "/desk/a", count: 1, version: 1, users: [expect.anything()] };
    const lists = client.of("/desk/a", "presence");
    expect(lists).toHaveLength(2);
    expect(lists).toEqual(expect.arrayContaining([list, { ...list, address: "/org/7" }]));
  });

  it("reports a loss to a client that joins while the history cannot be read", async () => {
    const reads: ((error: Error) => void)[] = [];
    class FailsOnce extends MemoryBackplane {
      override readHistory(path: RoomPath, query: HistoryQuery): Promise<HistoryPage> {
        if (path !== "/org/7" || reads.length > 0) return super.readHistory(path, query);
        return new Promise((_resolve, reject) => reads.push(reject));
      }
    }
    const app = new App({ backplane: new FailsOnce() })
      .route("/desk/:id", Desk)
      .route("/org/:id", Org, { history: { size: 100 } });
    const { port, errors } = await start(app);
    const room = openRoom(port, { WebSocket });
    onTestFinished(() => room.close());
    const [messages, lost] = [new Mailbox<unknown>(), new Mailbox<Lost>()];
    room.on("message", (message) => messages.put([message.room, message.data]));
    room.on("lost", (one) => lost.put(one));
    await until(() => reads.length > 0);
    const org = app.registry.room("/org/7");
    await org.publish("while it is read");
    reads[0]?.(new Error("the disk is full"));
    expect(await lost.have(1)).toEqual([{ reason: "off", room: "/org/7" }]);
    await org.publish("later");
    expect(await messages.have(1)).toEqual(of("later"));
    expect(errors.map(({ message }) => message)).toEqual(["the disk is full"]);
    // A first join without a failure is no loss.
    await room.request("leave");
    await room.request("join");
    await org.publish("last");
    await messages.have(2);
    expect(lost.all.length).toBe(1);
  });
});
