import { describe, expect, it, onTestFinished } from "vitest";
import {
  App,
  type AppOptions,
  type Connection,
  type HandlerClass,
  type Room,
  WebSocketHandler,
} from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox } from "../support/app.js";

const silent = { warn: () => undefined, error: () => undefined };
const refusal = expect.objectContaining({ name: "EnfiladeError", code: "ERR_JOIN_REFUSED" });

/** An app whose handlers join and leave on a client's command: `["join", "/a"]`. */
abstract class Mover extends WebSocketHandler {
  async onJSON([what, path = ""]: [string, string?]) {
    if (what === "join") await this.join(path);
    if (what === "leave") this.leave(path);
    if (what === "leaveAll") this.leaveAll();
    this.sendJSON("done");
  }
}

interface Stage {
  readonly app: App;
  readonly errors: Error[];
  readonly client: TestClient;
  readonly connection: Connection;
  /** Sends a command of the client, and resolves when the handler has run it. */
  ask(...command: string[]): Promise<void>;
}

async function startStage(handlerClass: HandlerClass, options: AppOptions = {}): Promise<Stage> {
  const app = new App({ logger: silent, ...options }).route("/home/:name", handlerClass);
  onTestFinished(() => app.close({ timeoutMs: 200 }));
  const errors: Error[] = [];
  app.on("error", (error) => errors.push(error));
  const client = await connect(app, "/home/ann");
  const [connection] = app.registry.connections;
  if (connection === undefined) throw new Error("the connection is not registered");
  const ask = async (...command: string[]) => {
    client.sendJSON(command);
    expect(await client.readJSON()).toBe("done");
  };
  return { app, errors, client, connection, ask };
}

function roomsOf({ app, connection }: Stage): string[] {
  return app.registry.roomsOf(connection).map(({ path }) => path);
}

describe("onRoomJoin and onRoomLeave", () => {
  class Telling extends Mover {
    static told = new Mailbox<readonly [string, string, number]>();
    override onRoomJoin(room: Room) {
      Telling.told.put(["join", room.path, room.size]);
    }
    override onRoomLeave(room: Room) {
      Telling.told.put(["leave", room.path, room.size]);
    }
    override onClose() {
      Telling.told.put(["close", this.leftRooms.join(), 0]);
    }
  }
  const told = () => Telling.told.all;
  const begin = () => {
    Telling.told = new Mailbox();
    return startStage(Telling);
  };

  it("are called after join(), leave() and leaveAll(), once for each changed room", async () => {
    const stage = await begin();
    await stage.ask("join", "/a");
    await stage.ask("join", "/a");
    await stage.ask("join", "/b");
    await stage.ask("leave", "/a");
    await stage.ask("leave", "/a");
    await stage.ask("leaveAll");
    expect(told()).toEqual([
      ["join", "/a", 1],
      ["join", "/b", 1],
      ["leave", "/a", 0],
      ["leave", "/b", 0],
    ]);
  });

  it("are called for joins and leaves by the registry", async () => {
    const { app, connection } = await begin();
    app.registry.join(connection, "/a/");
    app.registry.leave(connection, "/a");
    app.registry.join(connection, "/b");
    app.registry.leaveAll(connection);
    expect(told().map(([what, path]) => `${what} ${path}`)).toEqual(["join /a", "leave /a", "join /b", "leave /b"]);
  });

  it("are never called for the home, nor at the end of the connection", async () => {
    const stage = await begin();
    await stage.ask("leave", "/home/ann");
    await stage.ask("join", "/home/ann");
    await stage.ask("join", "/a");
    const closed = closes(stage.app, 1);
    await stage.client.close();
    await closed;
    expect(told()).toEqual([
      ["join", "/a", 1],
      ["close", "/home/ann,/a", 0],
    ]);
  });

  it.each(["onRoomJoin", "onRoomLeave"] as const)(
    "close with 1011 if %s throws, and report the error",
    async (hook) => {
      class Throwing extends Mover {
        static reported = new Mailbox<Error>();
        override onRoomJoin() {
          if (hook === "onRoomJoin") throw new Error("no use");
        }
        override async onRoomLeave() {
          if (hook === "onRoomLeave") throw new Error("no use");
        }
        override onError(error: Error) {
          Throwing.reported.put(error);
        }
      }
      const { client, errors } = await startStage(Throwing);
      client.sendJSON(["join", "/a"]);
      client.sendJSON(["leave", "/a"]);
      expect(await client.closed).toMatchObject({ code: 1011, reason: "internal error" });
      expect(await Throwing.reported.have(1)).toMatchObject([{ message: "no use" }]);
      expect(errors).toMatchObject([{ message: "no use" }]);
    },
  );

  it("may join and leave themselves, also the last room of a connection that is then closed", async () => {
    class Returning extends Mover {
      override onRoomLeave(room: Room) {
        if (room.path === "/a") this.join("/lobby");
      }
    }
    const app = new App({ logger: silent }).route("/home/:name", Returning, { closeOnLastRoomLeft: true });
    onTestFinished(() => app.close({ timeoutMs: 200 }));
    const client = await connect(app, "/home/ann");
    for (const command of [
      ["join", "/a"],
      ["leave", "/home/ann"],
      ["leave", "/a"],
    ])
      client.sendJSON(command);
    for (let n = 0; n < 3; n += 1) expect(await client.readJSON()).toBe("done");
    const [connection] = app.registry.connections;
    expect(connection && app.registry.roomsOf(connection).map(({ path }) => path)).toEqual(["/lobby"]);
    client.sendJSON(["leave", "/lobby"]);
    expect(await client.closed).toMatchObject({ code: 1000 });
  });
});

describe("authorizeJoin", () => {
  it("gets a warning when its name is misspelled, because it would forbid nothing", () => {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    class British extends Mover {
      authoriseJoin() {
        return false;
      }
    }
    new App({ logger }).route("/british", British);
    expect(warnings).toEqual([
      'enfilade: British has "authoriseJoin", which is never called; did you mean "authorizeJoin"?',
    ]);
  });

  it("is called by join() of handler and registry, with the room, and not for the home or a joined room", async () => {
    class Guarded extends Mover {
      static asked: string[] = [];
      override authorizeJoin(room: Room) {
        Guarded.asked.push(`${room.path} ${room.size}`);
        return room.path.startsWith("/open/");
      }
    }
    const stage = await startStage(Guarded);
    await stage.ask("join", "/open/a");
    await stage.ask("join", "/open/a");
    await stage.ask("join", "/home/ann");
    expect(stage.app.registry.join(stage.connection, "/open/b")).toBeUndefined();
    expect(() => stage.app.registry.join(stage.connection, "/closed")).toThrow(refusal);
    expect(Guarded.asked).toEqual(["/open/a 0", "/open/b 0", "/closed 0"]);
    expect(roomsOf(stage)).toEqual(["/home/ann", "/open/a", "/open/b"]);
    expect(stage.app.registry.rooms.map(({ path }) => path)).not.toContain("/closed");
  });

  it.each([false, undefined, null, 1, "true", {}, [true]])("refuses with %o, sync or async", async (answer) => {
    class Wrong extends Mover {
      static isAsync = false;
      // JavaScript code can return this.
      override authorizeJoin(): boolean | Promise<boolean> {
        const wrong = answer as boolean;
        return Wrong.isAsync ? Promise.resolve(wrong) : wrong;
      }
    }
    const stage = await startStage(Wrong);
    expect(() => stage.app.registry.join(stage.connection, "/a")).toThrow(refusal);
    Wrong.isAsync = true;
    await expect(stage.app.registry.join(stage.connection, "/a")).rejects.toThrow(refusal);
    expect(roomsOf(stage)).toEqual(["/home/ann"]);
  });

  it("passes on its error, and then refuses", async () => {
    class Failing extends Mover {
      static isAsync = false;
      override authorizeJoin(): boolean | Promise<boolean> {
        const error = new Error("the database is away");
        if (Failing.isAsync) return Promise.reject(error);
        throw error;
      }
    }
    const stage = await startStage(Failing);
    expect(() => stage.app.registry.join(stage.connection, "/a")).toThrow("the database is away");
    Failing.isAsync = true;
    await expect(stage.app.registry.join(stage.connection, "/a")).rejects.toThrow("the database is away");
    expect(roomsOf(stage)).toEqual(["/home/ann"]);
  });

  describe("when it is async", () => {
    class Slow extends Mover {
      static decisions = new Map<string, (answer: boolean) => void>();
      static asked = new Mailbox<string>();
      override authorizeJoin({ path }: Room) {
        Slow.asked.put(path);
        return new Promise<boolean>((resolve) => Slow.decisions.set(path, resolve));
      }
    }
    const decide = (path: string, answer: boolean) => Slow.decisions.get(path)?.(answer);
    const begin = (options?: AppOptions) => {
      Slow.asked = new Mailbox();
      return startStage(Slow, options);
    };

    it("makes join() return a promise that resolves in the room, or rejects outside of it", async () => {
      const stage = await begin();
      const { registry } = stage.app;
      const [first, again, other] = ["/a", "/a", "/b"].map((path) => registry.join(stage.connection, path));
      expect(roomsOf(stage)).toEqual(["/home/ann"]);
      expect(Slow.asked.all).toEqual(["/a", "/b"]);
      decide("/a", true);
      decide("/b", false);
      await Promise.all([first, again]);
      expect(roomsOf(stage)).toEqual(["/home/ann", "/a"]);
      await expect(other).rejects.toThrow(refusal);
      expect(roomsOf(stage)).toEqual(["/home/ann", "/a"]);
    });

    it("does not end the process if the refusal is not awaited", async () => {
      const unhandled: unknown[] = [];
      const listener = (error: unknown) => unhandled.push(error);
      process.on("unhandledRejection", listener);
      onTestFinished(() => {
        process.off("unhandledRejection", listener);
      });
      const stage = await begin();
      void stage.app.registry.join(stage.connection, "/a");
      decide("/a", false);
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    });

    it("does not join a room that the connection left before the decision", async () => {
      const stage = await begin();
      const { registry } = stage.app;
      const left = registry.join(stage.connection, "/a");
      registry.leave(stage.connection, "/a");
      const first = Slow.decisions.get("/a");
      const again = registry.join(stage.connection, "/a");
      first?.(true);
      await expect(left).rejects.toThrow(refusal);
      expect(roomsOf(stage)).toEqual(["/home/ann"]);
      decide("/a", true);
      await again;
      expect(roomsOf(stage)).toEqual(["/home/ann", "/a"]);
      const all = registry.join(stage.connection, "/b");
      registry.leaveAll(stage.connection);
      decide("/b", true);
      await expect(all).rejects.toThrow(refusal);
      expect(roomsOf(stage)).toEqual([]);
    });

    it("does not join a connection that has ended meanwhile", async () => {
      const stage = await begin();
      const { registry } = stage.app;
      const joining = registry.join(stage.connection, "/a");
      const closed = closes(stage.app, 1);
      stage.client.terminate();
      await closed;
      decide("/a", true);
      await joining;
      expect(registry.rooms).toEqual([]);
    });

    it("counts undecided joins towards joinsMax", async () => {
      const stage = await begin({ limits: { joinsMax: 3 } });
      const { registry } = stage.app;
      const joining = [registry.join(stage.connection, "/a"), registry.join(stage.connection, "/b")];
      const tooMany = expect.objectContaining({ code: "ERR_JOINS_MAX" });
      expect(() => registry.join(stage.connection, "/c")).toThrow(tooMany);
      decide("/a", true);
      decide("/b", true);
      await Promise.all(joining);
      expect(() => registry.join(stage.connection, "/c")).toThrow(tooMany);
      expect(Slow.asked.all).toEqual(["/a", "/b"]);
    });
  });
});
