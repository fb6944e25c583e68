import { describe, expect, it } from "vitest";
import { App, EventError, EventHandler, On, WebSocketHandler } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";

class Echo extends WebSocketHandler {
  async onMessage(text: string) {
    await Promise.resolve();
    if (text === "fail") throw new Error("the handler failed");
    this.sendText(text);
  }
  override onBinary(bytes: Uint8Array) {
    this.sendBinary(bytes);
  }
}

class Adder extends EventHandler {
  @On() onAdd(numbers: readonly number[]) {
    return numbers.reduce((sum, number) => sum + number, 0);
  }
}

function appWith(): App {
  return new App().route("/echo", Echo).route("/add", Adder);
}

describe("app.intercept", () => {
  it("is called for every message of every handler before it is read, in the order of registration", async () => {
    const calls: string[] = [];
    const app = appWith();
    app.intercept(async (handler, message, next) => {
      calls.push(`first ${handler.constructor.name} ${message.isText ? message.text : "binary"}`);
      await next();
      calls.push("first is done");
    });
    app.intercept((_handler, _message, next) => {
      calls.push("second");
      return next();
    });
    const { open } = await start(app);
    const echo = await open("/echo");
    echo.sendText("hello");
    expect(await echo.readText()).toBe("hello");
    echo.sendBinary(new Uint8Array([7]));
    expect(await echo.readBinary()).toEqual(Buffer.from([7]));
    const adder = await open("/add");
    adder.sendJSON({ event: "add", data: [1, 2], id: 1 });
    expect(await adder.readJSON()).toEqual({ id: 1, data: 3 });
    expect(calls).toEqual([
      ...["first Echo hello", "second", "first is done", "first Echo binary", "second", "first is done"],
      ...['first Adder {"event":"add","data":[1,2],"id":1}', "second", "first is done"],
    ]);
  });

  it("drops a message without next(), and keeps the order of delayed ones", async () => {
    const held = new Mailbox<() => void>();
    const app = appWith().intercept(async (_handler, message, next) => {
      if (message.text === "drop") return;
      if (message.text === "hold") await new Promise<void>((resolve) => held.put(resolve));
      await next();
    });
    const { open } = await start(app);
    const client = await open("/echo");
    for (const text of ["hold", "drop", "last"]) client.sendText(text);
    for (const release of await held.have(1)) release();
    expect([await client.readText(), await client.readText()]).toEqual(["hold", "last"]);
  });

  it("answers a dropped frame with an id, and runs it once for any number of repeats", async () => {
    let count = 0;
    const app = appWith().intercept(() => {
      count += 1;
    });
    const { open } = await start(app);
    const client = await open(`/echo?client=${"c".repeat(16)}`, { protocols: ["enfilade.v1"] });
    await client.read();
    const frame = { type: "message", text: "x", id: 1 };
    client.sendJSON(frame);
    expect(await client.readJSON()).toEqual({ type: "reply", id: 1, data: null });
    client.sendJSON(frame);
    client.sendJSON({ type: "ping" });
    expect(await client.readJSON()).toEqual({ type: "pong" });
    expect(count).toBe(1);
  });

  it("treats its error like an error of the handler", async () => {
    const app = appWith().intercept((_handler, message, next) => {
      if (message.text.includes("forbidden")) throw new EventError("forbidden", "not you");
      if (message.text.includes("broken")) throw new Error("broken");
      return next();
    });
    const { open, errors } = await start(app);
    const echo = await open("/echo");
    echo.sendText("broken");
    expect(await echo.closed).toMatchObject({ code: 1011 });
    const adder = await open("/add");
    adder.sendJSON({ event: "add", data: ["forbidden"], id: 1 });
    expect(await adder.readJSON()).toEqual({ id: 1, error: { code: "forbidden", message: "not you" } });
    adder.sendJSON({ event: "add", data: ["broken"], id: 2 });
    expect(await adder.readJSON()).toMatchObject({ id: 2, error: { code: "internal" } });
    adder.sendJSON({ event: "add", data: [1], id: 3 });
    expect(await adder.readJSON()).toEqual({ id: 3, data: 1 });
    expect(errors.map(({ message }) => message)).toEqual(["broken", "broken"]);
  });

  it("can catch the error of the handler; one that it does not await is thrown anyway", async () => {
    const seen: unknown[] = [];
    const catches = appWith().intercept(async (_handler, _message, next) => {
      try {
        await next();
      } catch (error) {
        seen.push(error);
      }
    });
    const caught = await start(catches);
    const client = await caught.open("/echo");
    client.sendText("fail");
    client.sendText("goes on");
    expect(await client.readText()).toBe("goes on");
    expect([seen, caught.errors]).toMatchObject([[{ message: "the handler failed" }], []]);
    const ignores = await start(appWith().intercept((_handler, _message, next) => void next()));
    const other = await ignores.open("/echo");
    other.sendText("fail");
    expect(await other.closed).toMatchObject({ code: 1011 });
    expect(ignores.errors).toMatchObject([{ message: "the handler failed" }]);
  });

  it("may call next() once, and only before it has finished", async () => {
    const kept = new Mailbox<() => unknown>();
    const app = appWith().intercept(async (_handler, message, next) => {
      if (message.text === "late") return void kept.put(next);
      await next();
      if (message.text === "twice") await next();
    });
    const { open, errors } = await start(app);
    const client = await open("/echo");
    client.sendText("late");
    const [late] = await kept.have(1);
    expect(() => late?.()).toThrow(expect.objectContaining({ code: "ERR_READING" }));
    client.sendText("twice");
    expect(await client.readText()).toBe("twice");
    expect(await client.closed).toMatchObject({ code: 1011 });
    expect(errors).toMatchObject([
      { code: "ERR_READING", message: expect.stringContaining("next() was called twice") },
    ]);
  });

  it("applies to connections that open later, and accepts only a function", async () => {
    const { app, open } = await start(appWith());
    const before = await open("/echo");
    app.intercept(() => undefined);
    const after = await open("/echo");
    after.sendText("dropped");
    before.sendText("passed");
    expect(await before.readText()).toBe("passed");
    expect(() => app.intercept("all" as never)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: "intercept takes a function, got string" }),
    );
  });
});
