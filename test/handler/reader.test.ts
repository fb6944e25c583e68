import { describe, expect, it } from "vitest";
import { App, ConnectionError, MessageError, Route, WebSocketHandler } from "../../src/index.js";
import { Mailbox, start, startWith } from "../support/app.js";

describe("the reading method of a handler", () => {
  it("is serve before onJSON before onMessage, and a warning names the ignored ones once", async () => {
    class All extends WebSocketHandler {
      async serve() {
        for await (const { text } of this.connection) this.sendText(`serve ${text}`);
      }
      onJSON() {
        this.sendText("onJSON");
      }
      onMessage() {
        this.sendText("onMessage");
      }
    }
    class Two extends WebSocketHandler {
      onJSON(message: unknown) {
        this.sendText(`onJSON ${String(message)}`);
      }
      onMessage() {
        this.sendText("onMessage");
      }
    }
    class One extends WebSocketHandler {
      onMessage(text: string) {
        this.sendText(`onMessage ${text}`);
      }
    }
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    const app = new App({ logger }).route("/all", All).route("/all/again", All).route("/two", Two).route("/one", One);
    const { open } = await start(app);
    for (const [path, expected] of [
      ["/all", "serve 7"],
      ["/two", "onJSON 7"],
      ["/one", "onMessage 7"],
    ] as const) {
      const client = await open(path);
      client.sendText("7");
      expect(await client.readText()).toBe(expected);
    }
    expect(warnings).toEqual([
      "enfilade: All reads with serve; its onJSON and onMessage is never called",
      "enfilade: Two reads with onJSON; its onMessage is never called",
    ]);
    expect(app.routes.map(({ reads }) => reads)).toEqual(["serve", "serve", "onJSON", "onMessage"]);
  });

  it("is required at registration, not when the first client connects", () => {
    class Mute extends WebSocketHandler {
      onConnect() {
        this.sendText("hello");
      }
    }
    expect(() => new App().route("/mute", Mute)).toThrow(
      expect.objectContaining({
        code: "ERR_NO_READER",
        message: expect.stringContaining("Mute implements none of serve, onJSON, onMessage; implement exactly one"),
      }),
    );
  });

  it("has to be a method: an arrow function in a field is refused with a hint", () => {
    class Arrow extends WebSocketHandler {
      override onJSON = () => undefined;
    }
    expect(() => new App().route("/arrow", Arrow)).toThrow(/arrow function/);
  });

  it("and the hooks get a warning when their names are misspelled", () => {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    class British extends WebSocketHandler {
      static authorize() {
        return false;
      }
      onMessage() {
        return undefined;
      }
      authorise() {
        return false;
      }
      onclose() {
        return undefined;
      }
    }
    new App({ logger }).route("/british", British);
    expect(warnings).toEqual([
      'enfilade: British has "authorise", which is never called; did you mean "authorize"?',
      'enfilade: British has "onclose", which is never called; did you mean "onClose"?',
      'enfilade: British has "static authorize", which is never called; did you mean "authorize"?',
    ]);
  });

  it("is inherited", async () => {
    class Base extends WebSocketHandler {
      onMessage(text: string) {
        this.sendText(this.answer(text));
      }
      protected answer(text: string) {
        return text;
      }
    }
    class Loud extends Base {
      protected override answer(text: string) {
        return text.toUpperCase();
      }
    }
    const client = await (await startWith("/loud", Loud)).open("/loud");
    client.sendText("hey");
    expect(await client.readText()).toBe("HEY");
  });
});

describe("a message that is not JSON", () => {
  it("calls onJSON with undefined and the error, and the connection stays open", async () => {
    class Chat extends WebSocketHandler {
      onJSON(message: unknown, error?: Error) {
        const code = error instanceof MessageError ? error.code : undefined;
        this.sendJSON({ message: message === undefined ? "none" : message, code });
      }
    }
    const client = await (await startWith("/chat", Chat)).open("/chat");
    client.sendText("{not json");
    client.sendText('"json"');
    expect(await client.readJSON()).toEqual({ message: "none", code: "ERR_BAD_JSON" });
    expect(await client.readJSON()).toEqual({ message: "json" });
  });

  it("closes with 1007 if the route has that option, after earlier messages", async () => {
    class Chat extends WebSocketHandler {
      onJSON(message: unknown, error?: Error) {
        this.sendJSON(error === undefined ? message : "never");
      }
    }
    const { open } = await startWith("/chat", Chat, { badMessage: "close" });
    const client = await open("/chat");
    client.sendText("1");
    client.sendText("{");
    client.sendText("2");
    const texts: string[] = [];
    for await (const { text } of client) texts.push(text);
    expect(texts).toEqual(["1"]);
    expect(await client.closed).toMatchObject({ code: 1007, reason: "the message is not JSON" });
  });

  it("goes to onError if the method takes only the message", async () => {
    const reported = new Mailbox<unknown>();
    class Chat extends WebSocketHandler {
      onJSON(message: unknown) {
        reported.put(message);
      }
      override onError(error: Error) {
        reported.put(error);
      }
    }
    const { open, errors } = await startWith("/chat", Chat);
    const client = await open("/chat");
    client.sendText("{");
    client.sendText("1");
    expect(await reported.have(2)).toEqual([expect.any(MessageError), 1]);
    expect(errors).toEqual([]);
  });

  it("closes with 1007 if neither the method nor onError would receive the error", async () => {
    const reported = new Mailbox<unknown>();
    class Chat extends WebSocketHandler {
      onJSON(message: unknown) {
        reported.put(message);
      }
    }
    const client = await (await startWith("/chat", Chat)).open("/chat");
    client.sendText("1");
    client.sendText("{");
    expect(await client.closed).toMatchObject({ code: 1007, reason: "the message is not JSON" });
    expect(reported.all).toEqual([1]);
  });
});

describe("a binary message", () => {
  class Both extends WebSocketHandler {
    onMessage(text: string) {
      this.sendText(text);
    }
    override onBinary(bytes: Uint8Array) {
      this.sendBinary(bytes.map((byte) => byte + 1));
    }
  }

  it("goes to onBinary, in order with the texts", async () => {
    const client = await (await startWith("/both", Both)).open("/both");
    client.sendText("a");
    client.sendBinary(new Uint8Array([1, 2]));
    client.sendText("b");
    expect(await client.readText()).toBe("a");
    expect([...(await client.readBinary())]).toEqual([2, 3]);
    expect(await client.readText()).toBe("b");
  });

  it("closes with 1003 if the class has no onBinary, after earlier messages; the method gets the error", async () => {
    const reported = new Mailbox<unknown>();
    @Route("/text")
    class TextOnly extends WebSocketHandler {
      onMessage(text: string | undefined, error?: Error) {
        reported.put(text ?? error);
      }
    }
    const client = await (await start(new App({ handlers: [TextOnly] }))).open("/text");
    client.sendText("before");
    client.sendBinary(new Uint8Array([1]));
    client.sendText("after");
    expect(await client.closed).toMatchObject({ code: 1003, reason: "binary messages are not read here" });
    expect(await reported.have(2)).toEqual(["before", expect.any(ConnectionError)]);
    expect(reported.all[1]).toMatchObject({ closeCode: 1003, isClean: false, by: "server" });
  });
});
