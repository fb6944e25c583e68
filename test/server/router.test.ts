import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { App, anonymous, type HandlerClass, HttpError, Route, type Scope, WebSocketHandler } from "../../src/index.js";
import { connect, type TestClient } from "../../src/testing/index.js";

/** Answers with its class, its parameters and its user. */
abstract class Teller<Params extends object = object> extends WebSocketHandler<Params> {
  onConnect(): void {
    this.sendJSON({ by: this.constructor.name, params: this.params, user: this.user });
  }
  override onMessage(): void {
    this.close();
  }
}

class Answer extends Teller {}
class Other extends Teller {}

/** A handler class with this name. */
function named(name: string): HandlerClass {
  return { [name]: class extends Teller {} }[name] ?? Answer;
}

/** An app that is closed after the test; each pattern has a class named after it. */
function appWith(...patterns: readonly string[]): App {
  const app = new App();
  onTestFinished(() => app.close());
  for (const pattern of patterns) app.route(pattern, named(pattern));
  return app;
}

async function answerOf(app: App, path: string): Promise<unknown> {
  const client: TestClient = await connect(app, path);
  const answer = await client.readJSON();
  client.terminate();
  return answer;
}

async function statusOf(app: App, path: string): Promise<number | undefined> {
  try {
    await connect(app, path);
  } catch (error) {
    return error instanceof HttpError ? error.status : undefined;
  }
  return 101;
}

describe("a path", () => {
  const patterns = ["/a/b", "/a/:id(\\d+)", "/a/:name", "/a/**:rest", "/**:all"];

  it.each([
    ["/a/b", "/a/b"],
    ["/a/7", "/a/:id(\\d+)"],
    ["/a/c", "/a/:name"],
    ["/a/c/d", "/a/**:rest"],
    ["/a/b/d", "/a/**:rest"],
    ["/b/c", "/**:all"],
    ["/a", "/**:all"],
  ])("leads from %s to %s, in any order of registration", async (path, pattern) => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(patterns, { minLength: patterns.length }), async (order) => {
        const app = new App();
        for (const one of order) app.route(one, named(one));
        expect(await answerOf(app, path)).toMatchObject({ by: pattern });
        await app.close();
      }),
      { numRuns: 12 },
    );
  });

  it("leads to the first registered of two routes that are equally specific", async () => {
    expect(await answerOf(appWith("/u/:id(\\d+)", "/u/:id([0-9a-f]+)"), "/u/7")).toMatchObject({ by: "/u/:id(\\d+)" });
    expect(await answerOf(appWith("/u/:id([0-9a-f]+)", "/u/:id(\\d+)"), "/u/7")).toMatchObject({
      by: "/u/:id([0-9a-f]+)",
    });
  });

  it("falls back if the more specific route does not match to the end", async () => {
    const app = appWith("/a/b/c", "/a/:x/d", "/:x/b/e");
    expect(await answerOf(app, "/a/b/d")).toMatchObject({ by: "/a/:x/d", params: { x: "b" } });
    expect(await answerOf(app, "/a/b/e")).toMatchObject({ by: "/:x/b/e", params: { x: "a" } });
    expect(await statusOf(app, "/a/b/f")).toBe(404);
  });

  it("that matches no route is answered with a 404", async () => {
    const app = appWith("/chat/:channel");
    for (const path of ["/", "/chat", "/chat/a/b", "/Chat/a", "/chats/a", "/chata"]) {
      expect(await statusOf(app, path)).toBe(404);
    }
  });

  it("leads to the same route with a trailing slash and a query", async () => {
    const app = appWith("/chat/:channel");
    const answer = { by: "/chat/:channel", params: { channel: "a" } };
    expect(await answerOf(app, "/chat/a/")).toEqual(answer);
    expect(await answerOf(app, "/chat/a?b=/c")).toEqual(answer);
    expect(await answerOf(app, "/chat/a/?b")).toEqual(answer);
  });

  it.each<[pattern: string, path: string, params: object]>([
    ["/", "/", {}],
    ["/a/", "/a", {}],
    ["/a/:b?", "/a", {}],
    ["/a/:b?", "/a/x", { b: "x" }],
    ["/a/:b?/c", "/a/c", {}],
    ["/a/:b?/c", "/a/x/c", { b: "x" }],
    ["/:b?", "/", {}],
    ["/a/*", "/a/x/y", { 0: "x/y" }],
    ["/a/**", "/a/x/y", { 0: "x/y" }],
    ["/a/**:rest", "/a/x/y", { rest: "x/y" }],
    ["/a/:rest+", "/a/x/y", { rest: "x/y" }],
    ["/a/:rest*", "/a/x/y", { rest: "x/y" }],
    ["/a/:rest*", "/a", {}],
    ["/a/:rest+/z", "/a/x/y/z", { rest: "x/y" }],
    ["/a/:x-:y", "/a/1-2", { x: "1", y: "2" }],
    ["/a/v:x", "/a/v1", { x: "1" }],
    ["/a/:id(\\d+)", "/a/12", { id: "12" }],
    ["/a/:id(\\d{2,3})", "/a/12", { id: "12" }],
    ["/a/:tongue(en|de)", "/a/de", { tongue: "de" }],
    ["/a/(\\d+)", "/a/12", { 0: "12" }],
    ["/a{/b}?", "/a/b", {}],
    ["/a{/b}?", "/a", {}],
    ["/a\\:b", "/a:b", {}],
    ["/chat/:channel", "/chat/%C3%A9", { channel: "\u00e9" }],
    ["/chat/:channel", "/chat/e%CC%81", { channel: "\u00e9" }],
    ["/chat/:channel", "/chat/%2541", { channel: "%41" }],
    ["/chat/:channel", "/chat/100%25", { channel: "100%" }],
    ["/chat/:channel", "/chat/a%20b", { channel: "a b" }],
    ["/chat/:channel", "/chat/%F0%9F%98%80", { channel: "\u{1f600}" }],
    ["/chat/:channel", "/chat/__proto__", { channel: "__proto__" }],
    ["/a/**:rest", "/a/%C3%A9/%2541", { rest: "\u00e9/%41" }],
    ["/caf\u00e9/:table", "/caf%C3%A9/1", { table: "1" }],
    ["/caf\u00e9/:table", "/cafe%CC%81/1", { table: "1" }],
    ["/\u65e5\u672c/:x", "/%E6%97%A5%E6%9C%AC/1", { x: "1" }],
    ["/\u{1f600}", "/%F0%9F%98%80", {}],
    ["/a b/:x", "/a%20b/1", { x: "1" }],
    ["/a/:x-\u00e9", "/a/1-%C3%A9", { x: "1" }],
    ["/\\{a\\}/:x", "/%7Ba%7D/1", { x: "1" }],
  ])("matches %s as %s", async (pattern, path, params) => {
    expect(await answerOf(appWith(pattern), path)).toEqual({ by: pattern, params });
  });

  it.each([
    ["/a/:id(\\d+)", "/a/x"],
    ["/a/:id(\\d+)", "/a/1x"],
    ["/a/:id(\\d+)", "/a/"],
    ["/a/:tongue(en|de)", "/a/ende"],
    ["/a/**:rest", "/a"],
    ["/a/:rest+", "/a"],
    ["/a/:x-:y", "/a/1"],
  ])("does not match %s as %s", async (pattern, path) => {
    expect(await statusOf(appWith(pattern), path)).toBe(404);
  });

  it("matches a pattern with decomposed accents as if composed", async () => {
    expect(await answerOf(appWith("/cafe\u0301/:table"), "/caf%C3%A9/1")).toMatchObject({ params: { table: "1" } });
  });

  it("is checked against a constraint as decoded text", async () => {
    expect(await answerOf(appWith("/a/:x(.)"), "/a/%C3%A9")).toMatchObject({ params: { x: "\u00e9" } });
    expect(await answerOf(appWith("/a/:x([\u00e0-\u00ff]+)"), "/a/%C3%A9")).toMatchObject({ params: { x: "\u00e9" } });
    expect(await statusOf(appWith("/a/:x([^<>]+)"), "/a/%3C")).toBe(404);
  });

  it("yields parameters without inherited properties", async () => {
    class Inherits extends WebSocketHandler {
      onConnect(): void {
        this.sendJSON(["toString" in this.params, "constructor" in this.params]);
      }
      override onMessage(): void {
        this.close();
      }
    }
    const app = appWith().route("/a/:x?", Inherits);
    expect(await answerOf(app, "/a")).toEqual([false, false]);
    expect(await answerOf(appWith("/a/:__proto__"), "/a/x")).toEqual({
      by: "/a/:__proto__",
      params: JSON.parse('{"__proto__":"x"}'),
    });
  });
});

describe("a route", () => {
  it.each([
    ["/a", "/a"],
    ["/a", "/a/"],
    ["/a/:x", "/a/:y"],
    ["/a/:x", "/a/:x"],
    ["/a/:x(\\d+)", "/a/:y(\\d+)"],
    ["/a/*", "/a/**"],
    ["/a/:x+", "/a/**:y"],
  ])("conflicts as %s with %s, and the error names both", (one, other) => {
    const app = appWith();
    app.route(one, Answer);
    expect(() => app.route(other, Other)).toThrow(
      expect.objectContaining({ code: "ERR_ROUTE_CONFLICT", message: expect.stringContaining(one) }),
    );
    expect(() => app.route(other, Other)).toThrow(/\(Answer\).*\(Other\)/);
    expect(app.routes).toHaveLength(1);
  });

  it("conflicts with another class's route of the same name, and the error names both", () => {
    const app = appWith().route("/a", Answer, { name: "main" });
    expect(() => app.route("/b", Other, { name: "main" })).toThrow(
      expect.objectContaining({ code: "ERR_ROUTE_CONFLICT", message: expect.stringContaining('"main"') }),
    );
    expect(() => app.route("/b", Other, { name: "main" })).toThrow(/"\/a" \(Answer\).*"\/b" \(Other\)/);
  });

  it("does not conflict with a route that matches more or fewer paths", () => {
    const patterns = ["/a", "/a/:x", "/a/:x(\\d+)", "/a/:x?/b", "/:x", "/**"];
    expect(appWith(...patterns).routes.map(({ pattern }) => pattern)).toEqual(patterns);
  });

  it.each<[what: string, pattern: string]>([
    ["no slash at the beginning", "chat"],
    ["nothing", ""],
    ["an absolute URL", "http://h/a"],
    ["an empty segment", "/a//b"],
    ["an empty segment at the beginning", "//a"],
    ["an empty segment at the end", "/a//"],
    ["slashes alone", "//"],
    ["a dot segment", "/a/./b"],
    ["a parent segment", "/../a"],
    ["a parent segment at the end", "/a/.."],
    ["percent-encoding", "/caf%C3%A9"],
    ["a wildcard with a name, as in Express", "/files/*rest"],
    ["a parameter named _", "/a/:_"],
    ["a parameter without a name", "/a/:"],
    ["a parameter named by a number", "/a/:1"],
    ["a parameter twice", "/:x/:x"],
    ["two wildcards", "/**:a/**:b"],
    ["two bare wildcards", "/a/*/*"],
    ["an unclosed constraint", "/a/:x(\\d+"],
    ["an empty constraint", "/a/:x()"],
    ["a constraint with a slash", "/:x(a/b)"],
    ["a capturing group in a constraint", "/:x((a))"],
    ["an anchor in a constraint", "/:x(^a$)"],
    ["a look-ahead in a constraint", "/:x(?=a)"],
    ["a constraint that is no regular expression", "/a/:x([)"],
    ["an unclosed group", "/a/{b"],
    ["a group that is closed only", "/a/b}"],
    ["groups in groups", "/{a{b}}"],
    ["a group that repeats", "/a{b}+"],
    ["a query", "/a?b=c"],
    ["a modifier without a parameter", "/a?"],
    ["two modifiers", "/:x??"],
    ["a backslash at the end", "/a\\"],
    ["a line feed", "/a\n"],
  ])("refuses a pattern with %s", (_what, pattern) => {
    const app = appWith();
    expect(() => app.route(pattern, Answer)).toThrow(expect.objectContaining({ code: "ERR_ROUTE_PATTERN" }));
    expect(app.routes).toEqual([]);
  });

  it.each([undefined, null, 7, /a/])("refuses the pattern %s", (pattern) => {
    const app = appWith();
    expect(() => Reflect.apply(app.route, app, [pattern, Answer])).toThrow(
      expect.objectContaining({ code: "ERR_ROUTE_PATTERN" }),
    );
  });

  it.each([undefined, "Answer", class {}, new Date(), () => 1])("refuses %s instead of a handler class", (value) => {
    const app = appWith();
    expect(() => Reflect.apply(app.route, app, ["/a", value])).toThrow(
      expect.objectContaining({ code: "ERR_NO_ROUTE" }),
    );
  });

  it("is listed with its pattern, its name, its class, and its reading method", () => {
    class Loop extends WebSocketHandler {
      override serve(): Promise<void> {
        return Promise.resolve();
      }
    }
    class Reads extends WebSocketHandler {
      override onJSON(): void {
        this.close();
      }
    }
    const app = appWith().route("/b/:x", Answer, { name: "main" }).route("/a", Loop).route("/c", Reads);
    expect(app.routes).toEqual([
      { pattern: "/b/:x", name: "main", handler: "Answer", reads: "onMessage" },
      { pattern: "/a", name: undefined, handler: "Loop", reads: "serve" },
      { pattern: "/c", name: undefined, handler: "Reads", reads: "onJSON" },
    ]);
  });

  it("may lead to the same class by several patterns, which may share a name", async () => {
    const app = appWith().route("/a/:x", Answer, { name: "main" }).route("/b/:x", Answer, { name: "main" });
    expect(await answerOf(app, "/a/1")).toEqual({ by: "Answer", params: { x: "1" } });
    expect(await answerOf(app, "/b/2")).toEqual({ by: "Answer", params: { x: "2" } });
    expect(app.url("main", { x: 1 })).toBe("/a/1");
    const both = await Promise.all([connect(app, "/a/1"), connect(app, "/b/1")]);
    await Promise.all(both.map((client) => client.readJSON()));
    app.channel("main").sendJSON("to all");
    expect(await Promise.all(both.map((client) => client.readJSON()))).toEqual(["to all", "to all"]);
  });
});

describe("app.url", () => {
  it("returns the percent-encoded path of a named route", async () => {
    const app = appWith().route("/caf\u00e9/:table/:seat?", Answer, { name: "seat" });
    expect(app.url("seat", { table: "a b" })).toBe("/caf%C3%A9/a%20b");
    expect(app.url("seat", { table: "50%", seat: 3 })).toBe("/caf%C3%A9/50%25/3");
    expect(await answerOf(app, app.url("seat", { table: "50%" }))).toMatchObject({ params: { table: "50%" } });
  });

  it("returns the path of a route in a scope, its prefix included", () => {
    const app = appWith().scope("/org/:org", (org) => org.route("/log", Answer, { name: "log" }));
    expect(app.url("log", { org: 7 })).toBe("/org/7/log");
  });

  it("refuses a missing or invalid parameter", () => {
    const app = appWith().route("/a/:id(\\d+)", Answer, { name: "a" });
    expect(() => app.url("a")).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
    expect(() => app.url("a", { id: "x" })).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
  });

  it("refuses an unknown name, and lists the known ones", () => {
    const app = appWith().route("/a", Answer, { name: "one" }).route("/b", Other, { name: "two" });
    const unknown = expect.objectContaining({
      code: "ERR_ROUTE_UNKNOWN",
      message: expect.stringMatching(/"tow".*one.*two/),
    });
    expect(() => app.url("tow")).toThrow(unknown);
    expect(() => app.channel("tow")).toThrow(unknown);
    expect(() => appWith("/a").url("tow")).toThrow(expect.objectContaining({ code: "ERR_ROUTE_UNKNOWN" }));
  });
});

describe("a scope", () => {
  it("passes the parameters of its prefix to the handler, also when nested", async () => {
    const app = appWith().scope("/org/:org", (org) => {
      org.route("/", Other);
      org.scope("/team/:team", (team) => team.route("/chat/:channel", Answer));
    });
    expect(app.routes.map(({ pattern }) => pattern)).toEqual(["/org/:org", "/org/:org/team/:team/chat/:channel"]);
    expect(await answerOf(app, "/org/7")).toEqual({ by: "Other", params: { org: "7" } });
    const params = { org: "7", team: "a", channel: "b" };
    expect(await answerOf(app, "/org/7/team/a/chat/b")).toEqual({ by: "Answer", params });
  });

  it("calls authorize in order, the outermost first, the handler last", async () => {
    const asked: string[] = [];
    class Guarded extends Teller {
      override authorize() {
        asked.push("handler");
        return anonymous;
      }
    }
    const gate = (name: string) => ({ authorize: () => asked.push(name) && anonymous });
    const build = (inner: Scope<"/a/b">) => inner.route("/c", Guarded);
    const app = appWith().scope("/a", (outer) => outer.scope("/b", build, gate("inner")), gate("outer"));
    await answerOf(app, "/a/b/c");
    expect(asked).toEqual(["outer", "inner", "handler"]);
  });

  it("refuses before any inner authorize is called", async () => {
    const asked: string[] = [];
    class Guarded extends Teller {
      override authorize() {
        asked.push("handler");
        return anonymous;
      }
    }
    const authorize = () => {
      throw new HttpError(401);
    };
    const app = appWith()
      .scope("/a", (a) => a.route("/b", Guarded), { authorize })
      .scope("/c", (c) => c.route("/d", Guarded), { authorize: () => new Response("no", { status: 418 }) });
    expect(await statusOf(app, "/a/b")).toBe(401);
    expect(await statusOf(app, "/c/d")).toBe(418);
    expect(asked).toEqual([]);
  });

  it("passes its user to the handler, whose own authorize can read and replace it", async () => {
    const seen: unknown[] = [];
    class Keeps extends Teller {
      override authorize() {
        seen.push(this.user);
        return anonymous;
      }
    }
    class Replaces extends Teller {
      override authorize(): object {
        return { id: "bob" };
      }
    }
    const build = (scope: Scope<"/a">) => scope.route("/none", Answer).route("/keeps", Keeps).route("/new", Replaces);
    const app = appWith().scope("/a", build, { authorize: async () => ({ id: "ann" }) });
    expect(await answerOf(app, "/a/none")).toMatchObject({ user: { id: "ann" } });
    expect(await answerOf(app, "/a/keeps")).toMatchObject({ user: { id: "ann" } });
    expect(await answerOf(app, "/a/new")).toMatchObject({ user: { id: "bob" } });
    expect(seen).toEqual([{ id: "ann" }]);
  });

  it("passes its options on to inner routes, which may set their own", async () => {
    const app = new App({ subprotocols: ["app"] });
    onTestFinished(() => app.close());
    app.route("/app", Answer);
    app.scope(
      "/s",
      (s) => {
        s.route("/scope", Answer);
        s.route("/route", Answer, { subprotocols: ["route"], origins: ["https://b.example"] });
        s.scope("/in", (inner) => inner.route("/x", Answer), { limits: { joinsMax: 2 } });
      },
      { subprotocols: ["scope"], origins: ["https://a.example"] },
    );
    const protocolOf = async (path: string) =>
      (await connect(app, path, { protocols: ["app", "scope", "route"] })).protocol;
    expect(await protocolOf("/app")).toBe("app");
    expect(await protocolOf("/s/scope")).toBe("scope");
    expect(await protocolOf("/s/route")).toBe("route");
    expect(await protocolOf("/s/in/x")).toBe("scope");
    const from = (path: string, origin: string) => connect(app, path, { headers: { origin } });
    await expect(from("/s/scope", "https://b.example")).rejects.toMatchObject({ status: 403 });
    await expect(from("/s/route", "https://a.example")).rejects.toMatchObject({ status: 403 });
    expect(await (await from("/s/in/x", "https://a.example")).readJSON()).toMatchObject({ by: "Answer" });
    expect(await (await from("/s/route", "https://b.example")).readJSON()).toMatchObject({ by: "Answer" });
  });

  it("combines limits one by one", async () => {
    class Joins extends WebSocketHandler {
      onConnect(): void {
        this.join("/other");
        this.sendJSON(this.rooms.length);
      }
      override onMessage(text = ""): void {
        this.sendText(text);
      }
    }
    const app = appWith().scope(
      "/s",
      (s) => {
        s.route("/two", Joins);
        s.route("/small", Joins, { limits: { messageBytesMax: 4 } });
        s.route("/one", Joins, { limits: { joinsMax: 1 } });
      },
      { limits: { joinsMax: 2, messageBytesMax: 10 } },
    );
    app.on("error", () => undefined);
    const two = await connect(app, "/s/two");
    expect(await two.readJSON()).toBe(2);
    two.sendText("12345");
    expect(await two.readText()).toBe("12345");
    const small = await connect(app, "/s/small");
    expect(await small.readJSON()).toBe(2);
    small.sendText("12345");
    expect((await small.closed).code).toBe(1009);
    const one = await connect(app, "/s/one");
    expect((await one.closed).code).toBe(1011);
  });

  it.each(["a", "", "a/b"])("refuses the prefix %j", (prefix) => {
    expect(() => appWith().scope(prefix, (scope) => scope.route("/x", Answer))).toThrow(
      expect.objectContaining({ code: "ERR_ROUTE_PATTERN" }),
    );
  });

  it("conflicts with a route outside that matches the same paths", () => {
    const app = appWith().route("/a/:x", Answer);
    expect(() => app.scope("/a", (a) => a.route("/:y", Other))).toThrow(
      expect.objectContaining({ code: "ERR_ROUTE_CONFLICT" }),
    );
  });
});

describe("a handler class", () => {
  it("declares its routes as a string, an object, or a list", async () => {
    class ByString extends Teller {
      static readonly route = "/string/:x";
    }
    class ByObject extends Teller {
      static readonly route = { pattern: "/object/:x", name: "object" };
    }
    class ByList extends Teller {
      static readonly route = ["/list/:x", { pattern: "/list/:x/:y", name: "list" }];
    }
    const app = new App({ handlers: [ByString, ByObject, ByList] });
    onTestFinished(() => app.close());
    expect(await answerOf(app, "/string/1")).toEqual({ by: "ByString", params: { x: "1" } });
    expect(await answerOf(app, "/object/1")).toEqual({ by: "ByObject", params: { x: "1" } });
    expect(await answerOf(app, "/list/1")).toEqual({ by: "ByList", params: { x: "1" } });
    expect(await answerOf(app, "/list/1/2")).toEqual({ by: "ByList", params: { x: "1", y: "2" } });
    expect(app.url("object", { x: 1 })).toBe("/object/1");
    expect(app.url("list", { x: 1, y: 2 })).toBe("/list/1/2");
  });

  it("declares its routes by decorators, the topmost first", async () => {
    @Route("/first/:x", { name: "first" })
    @Route("/second/:x")
    class Decorated extends Teller {}
    const app = new App({ handlers: [Decorated] });
    onTestFinished(() => app.close());
    expect(app.routes.map(({ pattern }) => pattern)).toEqual(["/first/:x", "/second/:x"]);
    expect(await answerOf(app, app.url("first", { x: 1 }))).toMatchObject({ params: { x: "1" } });
    expect(await answerOf(app, "/second/2")).toMatchObject({ params: { x: "2" } });
  });

  it("does not inherit a route", () => {
    @Route("/parent")
    class Parent extends Teller {}
    class Child extends Parent {}
    class StaticParent extends Teller {
      static readonly route: string = "/static";
    }
    class StaticChild extends StaticParent {}
    for (const handlerClass of [Child, StaticChild]) {
      const expected = { code: "ERR_NO_ROUTE", message: expect.stringContaining(handlerClass.name) };
      expect(() => new App({ handlers: [handlerClass] })).toThrow(expect.objectContaining(expected));
    }
    expect(new App({ handlers: [Parent, StaticParent] }).routes).toHaveLength(2);
  });

  it("is refused without a route", () => {
    expect(() => new App({ handlers: [Answer] })).toThrow(expect.objectContaining({ code: "ERR_NO_ROUTE" }));
  });
});

describe("a schema of the parameters", () => {
  const params = z.object({ id: z.coerce.number() });
  class Item extends WebSocketHandler<{ readonly id: number }> {
    onConnect(): void {
      this.sendJSON([this.params.id + 1, typeof this.params.id]);
    }
    override onMessage(): void {
      this.close();
    }
  }

  it("converts them for the handler", async () => {
    const app = appWith().route("/item/:id", Item, { params });
    expect(await answerOf(app, "/item/7")).toEqual([8, "number"]);
  });

  it("refuses invalid ones with a 400 that reveals no details", async () => {
    const app = appWith().route("/item/:id", Item, { params });
    await expect(connect(app, "/item/x")).rejects.toMatchObject({
      status: 400,
      message: expect.not.stringMatching(/NaN/),
    });
  });

  it("may be asynchronous", async () => {
    const later = params.refine(async ({ id }) => id < 10);
    const app = appWith().route("/item/:id", Item, { params: later });
    expect(await answerOf(app, "/item/7")).toEqual([8, "number"]);
    expect(await statusOf(app, "/item/70")).toBe(400);
  });

  it("is checked before authorize of a scope", async () => {
    const authorize = () => {
      throw new HttpError(401);
    };
    const app = appWith().scope("/a", (a) => a.route("/item/:id", Item, { params }), { authorize });
    expect(await statusOf(app, "/a/item/x")).toBe(400);
    expect(await statusOf(app, "/a/item/7")).toBe(401);
  });

  it("works for a decorated class", async () => {
    @Route("/item/:id", { params })
    class Decorated extends Item {}
    const app = new App({ handlers: [Decorated] });
    onTestFinished(() => app.close());
    expect(await answerOf(app, "/item/7")).toEqual([8, "number"]);
  });
});
