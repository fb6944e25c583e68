import { describe, expect, it } from "vitest";
import {
  App,
  ConnectionError,
  commandEvents,
  EnfiladeError,
  EventError,
  EventHandler,
  HttpError,
  latest,
  MessageError,
  On,
  reliable,
  skip,
  spacedEvents,
  WebSocketHandler,
} from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";

class Quiet extends WebSocketHandler {
  onMessage() {
    // It only receives.
  }
}

class Events extends EventHandler {
  @On()
  onSay(data: unknown) {
    this.emitToThisRoom("said", data);
  }
}

describe("a message to a room with history", () => {
  it("is kept with the policy reliable, and not with latest or skip", async () => {
    const app = new App().route("/room/:id", Quiet, { history: { size: 10 } });
    const room = app.registry.room("/room/a");
    await room.publish("default");
    await room.publish("reliable", { policy: reliable });
    expect(await room.publish("latest", { policy: latest("x") })).toBeUndefined();
    expect(await room.publish("skip", { policy: skip })).toBeUndefined();
    await room.publish("kept", { policy: skip, keep: true });
    expect(await room.publish("forgotten", { keep: false })).toBeUndefined();
    expect((await room.history()).map(({ data }) => data)).toEqual(["default", "reliable", "kept"]);
  });

  it("is kept by the policy of its route, if the call has none", async () => {
    const app = new App().route("/cursor/:id", Quiet, { history: { size: 10 }, policy: skip });
    const room = app.registry.room("/cursor/a");
    room.sendJSON("moved");
    await room.publish("clicked", { policy: reliable });
    expect((await room.history()).map(({ data }) => data)).toEqual(["clicked"]);
  });

  it("may be text or bytes, each with its position", async () => {
    const app = new App().route("/room/:id", Quiet, { history: { size: 10 } });
    const room = app.registry.room("/room/a");
    expect(await room.publishText("text")).toMatchObject({ offset: 1 });
    expect(await room.publishBinary(Uint8Array.of(1, 2))).toMatchObject({ offset: 2 });
    expect(await room.history()).toMatchObject([{ text: "text" }, { bytes: Uint8Array.of(1, 2) }]);
    const noText: unknown = 7;
    // JavaScript code can pass this.
    await expect(room.publishText(noText as string)).rejects.toMatchObject({ code: "ERR_VALUE" });
  });

  it("refuses a keep that is not a boolean", async () => {
    const app = new App().route("/room/:id", Quiet, { history: { size: 10 } });
    const wrong = { keep: "yes" } as object;
    await expect(app.registry.room("/room/a").publish(1, wrong)).rejects.toMatchObject({
      code: "ERR_OPTION",
      message: expect.stringContaining("keep takes a boolean"),
    });
  });
});

describe("an event from code outside handlers", () => {
  it("reaches a room, a tree, a user and everyone, in the protocol of each client's route", async () => {
    class Known extends Events {
      override authorize() {
        return { id: "ann" };
      }
    }
    const { app, open } = await start(
      new App()
        .route("/json/:id", Known)
        .route("/command/:id", Events, { eventProtocol: commandEvents })
        .route("/spaced/:id", Events, { eventProtocol: spacedEvents }),
    );
    const [json, command, spaced] = [await open("/json/a"), await open("/command/a"), await open("/spaced/a")];
    app.registry.emitToRoom("/json/a", "one", 1);
    expect(await json.readJSON()).toEqual({ event: "one", data: 1 });
    app.registry.emitToRoom("/command/**", "two", 2);
    expect(await command.readJSON()).toEqual({ channel: "/command/**", cmd: "two", param: 2 });
    app.registry.emitToUser("ann", "three");
    expect(await json.readJSON()).toEqual({ event: "three" });
    app.registry.emitToAll("four", { n: 4 });
    expect(await json.readJSON()).toEqual({ event: "four", data: { n: 4 } });
    expect(await command.readJSON()).toEqual({ cmd: "four", param: { n: 4 } });
    expect(await spaced.readText()).toBe('four {"n":4}');
  });

  it("has the policy that the route gives to events of its name", async () => {
    const app = new App().route("/room/:id", Events, {
      history: { size: 10 },
      eventPolicies: { cursor: skip },
    });
    app.registry.emitToRoom("/room/a", "cursor", 1);
    app.registry.emitToRoom("/room/a", "said", 2);
    expect((await app.registry.room("/room/a").history()).map(({ data }) => data)).toEqual([
      { event: "said", data: 2 },
    ]);
  });
});

describe("a room with clients of several event protocols", () => {
  it("delivers each client the events of others in its own protocol", async () => {
    class Joining extends Events {
      override onConnect() {
        this.join("/lobby");
        this.emit("ready");
      }
      @On()
      onTell(data: unknown) {
        this.emitToRoom("/lobby", "told", data);
      }
    }
    const { open } = await start(
      new App().route("/json", Joining).route("/spaced", Joining, { eventProtocol: spacedEvents }),
    );
    const json = await open("/json");
    await json.read();
    const spaced = await open("/spaced");
    await spaced.read();
    const v1 = await open("/spaced", { protocols: ["enfilade.v1"] });
    await v1.read();
    await v1.read();
    json.sendJSON({ event: "tell", data: { a: 1 } });
    expect(await json.readJSON()).toEqual({ event: "told", data: { a: 1 } });
    expect(await spaced.readText()).toBe('told {"a":1}');
    expect(await v1.readJSON()).toEqual({ type: "message", room: "/lobby", text: 'told {"a":1}' });
    spaced.sendText("tell 2");
    expect(await json.readJSON()).toEqual({ event: "told", data: 2 });
  });
});

describe("a listener of an app or a registry", () => {
  it("is removed by the function that on() returns, by a signal, and after one call with once", async () => {
    const app = new App().route("/room/:id", Quiet);
    const reported = new Mailbox<string>();
    const controller = new AbortController();
    const remove = app.on("open", () => reported.put("removed"));
    app.on("open", () => reported.put("aborted"), { signal: controller.signal });
    app.on("open", () => reported.put("once"), { once: true });
    app.registry.on("room", () => reported.put("room"), { once: true });
    app.on("open", () => reported.put("always"));
    await connect(app, "/room/a");
    remove();
    controller.abort();
    await connect(app, "/room/b");
    expect(await reported.have(6)).toEqual(["room", "removed", "aborted", "once", "always", "always"]);
    app.on("open", () => reported.put("never"), { signal: controller.signal });
    await connect(app, "/room/c");
    expect(reported.all.slice(6)).toEqual(["always"]);
    await app.close();
  });
});

describe("errors", () => {
  it("have one base class and a code that begins with ERR_", () => {
    const info = { code: 4000, reason: "why", isClean: false, by: "server" } as const;
    const errors = [
      new HttpError(401),
      new ConnectionError(info),
      new MessageError("ERR_BAD_JSON", "no JSON"),
      new EventError("taken", "the name is taken"),
    ];
    for (const error of errors) expect(error).toBeInstanceOf(EnfiladeError);
    expect(errors.map(({ code }) => code)).toEqual(["ERR_HTTP", "ERR_CONNECTION", "ERR_BAD_JSON", "ERR_EVENT"]);
    expect(errors[1]).toMatchObject({ closeCode: 4000, closeReason: "why", isClean: false, by: "server" });
    expect(errors[3]).toMatchObject({ eventCode: "taken" });
  });
});
