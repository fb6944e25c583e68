import { describe, expect, it } from "vitest";
import { App, type AppOptions, type HandlerClass, WebSocketHandler } from "../../src/index.js";
import { start } from "../support/app.js";

/** A dependency of handlers. */
class Greetings {
  readonly greeting = "hello";
}

class Greeter extends WebSocketHandler {
  readonly #greetings: Greetings;
  constructor(greetings: Greetings) {
    super();
    this.#greetings = greetings;
  }
  onMessage(name: string) {
    this.sendText(`${this.#greetings.greeting} ${name}`);
  }
}

class Plain extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** The refusal that a client gets from an app whose `create` returns another value. */
async function refusedBy(create: unknown): Promise<readonly Error[]> {
  const options = { create } as AppOptions;
  const { open, errors } = await start(new App(options).route("/x", Plain));
  await expect(open("/x")).rejects.toMatchObject({ status: 500, message: "Internal Server Error" });
  return errors;
}

describe("new App({ create })", () => {
  it("creates the handlers with their dependencies", async () => {
    const made: string[] = [];
    const greetings = new Greetings();
    const create = (handlerClass: HandlerClass) => {
      made.push(handlerClass.name);
      return handlerClass === Greeter ? new Greeter(greetings) : new Plain();
    };
    const { open } = await start(new App({ create }).route("/greet", Greeter).route("/plain", Plain));
    for (const [path, expected] of [
      ["/greet", "hello Ann"],
      ["/plain", "Ann"],
    ] as const) {
      const client = await open(path);
      client.sendText("Ann");
      expect(await client.readText()).toBe(expected);
    }
    expect(made).toEqual(["Greeter", "Plain"]);
  });

  it.each([
    ["undefined", undefined],
    ["an instance of Object", {}],
    ["an instance of Greeter", new Greeter(new Greetings())],
  ])("answers 500 if it returns %s instead of a handler", async (came, made) => {
    const message = `create returned ${came} for Plain; it must return a new instance of Plain`;
    expect(await refusedBy(() => made)).toMatchObject([{ code: "ERR_OPTION", message }]);
  });

  it("answers 500 if it returns a promise, and names the cause", async () => {
    const message =
      "create returned a promise for Plain; it must return the instance itself; await in authorize or onConnect";
    expect(await refusedBy(async () => new Plain())).toMatchObject([{ code: "ERR_OPTION", message }]);
    expect(await refusedBy(() => Promise.reject(new Error("later")))).toMatchObject([{ code: "ERR_OPTION", message }]);
  });

  it("answers 500 if it throws, or returns one instance for two connections", async () => {
    const thrown = () => {
      throw new Error("no database");
    };
    expect(await refusedBy(thrown)).toMatchObject([{ message: "no database" }]);
    const only = new Plain();
    const { open, errors } = await start(new App({ create: () => only }).route("/x", Plain));
    const first = await open("/x");
    await expect(open("/x")).rejects.toMatchObject({ status: 500 });
    const message = "create returned the same instance of Plain again; return a new instance for each connection";
    expect(errors).toMatchObject([{ code: "ERR_OPTION", message }]);
    first.sendText("still here");
    expect(await first.readText()).toBe("still here");
  });

  it("may return an instance of a subclass", async () => {
    class Loud extends Plain {
      override onMessage(text: string) {
        this.sendText(text.toUpperCase());
      }
    }
    const { open } = await start(new App({ create: () => new Loud() }).route("/x", Plain));
    const client = await open("/x");
    client.sendText("loud");
    expect(await client.readText()).toBe("LOUD");
  });

  it("has to be a function, and is needed by a class whose constructor has parameters", () => {
    expect(() => new App({ create: "Plain" } as unknown as AppOptions)).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: "create takes a function that makes a handler, got string",
      }),
    );
    const message =
      'the route "/x" of Greeter: the constructor of Greeter takes 1 parameter; ' +
      "pass new App({ create }) to make the handlers";
    expect(() => new App().route("/x", Greeter)).toThrow(expect.objectContaining({ code: "ERR_OPTION", message }));
  });
});
