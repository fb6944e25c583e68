import { describe, expect, it } from "vitest";
import { App, type AppContext, type AppOptions, WebSocketHandler } from "../../src/index.js";
import { start } from "../support/app.js";

/** The declaration of an application: `interface AppContext { readonly counter: { count: number } }`. */
declare module "../../src/handler/application.js" {
  interface AppContext {
    readonly counter: { count: number };
  }
}

class Counts extends WebSocketHandler {
  onMessage() {
    this.app.context.counter.count += 1;
    this.sendJSON(this.app.context.counter);
  }
}

describe("app.context", () => {
  it("is the value given to the app, for all handlers and for other code", async () => {
    const context: AppContext = { counter: { count: 1 } };
    const { app, open } = await start(new App({ context }).route("/x", Counts));
    for (const count of [2, 3]) {
      const client = await open("/x");
      client.sendText("count");
      expect(await client.readJSON()).toEqual({ count });
    }
    expect(app.context).toBe(context);
    expect(context.counter.count).toBe(3);
  });

  it("throws an error if the app was given no context, and refuses a value that is not an object", () => {
    expect(() => new App().context).toThrow(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: "app.context is not set; pass new App({ context })",
      }),
    );
    expect(() => new App({ context: "database" } as unknown as AppOptions)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: "context takes an object, got string" }),
    );
  });
});
