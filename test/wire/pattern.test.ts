import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defaultConnectionLimits } from "../../src/handler/limits.js";
import { App, WebSocketHandler } from "../../src/index.js";
import { type Match, type Route, Router } from "../../src/server/router.js";
import { Scope } from "../../src/server/scope.js";
import { connect } from "../../src/testing/index.js";
import { jsonEvents } from "../../src/wire/events/jsonEvents.js";
import { pathOfTarget, roomName } from "../../src/wire/path.js";
import { fillPattern, roomPath } from "../../src/wire/pattern.js";

class Quiet extends WebSocketHandler {
  override onMessage(): void {
    this.close();
  }
}

class Teller extends WebSocketHandler {
  onConnect(): void {
    this.sendJSON({ path: this.request.path, params: this.params });
  }
  override onMessage(): void {
    this.close();
  }
}

/** The parameters that a router with only this pattern reads from a path. */
function matchOf(pattern: string, path: string): Match | undefined {
  const router = new Router();
  const ground = {
    prefix: "",
    checks: [],
    limits: defaultConnectionLimits,
    origins: "*",
    subprotocols: [],
    compression: false,
    badMessage: "error",
    eventProtocol: jsonEvents,
    policy: undefined,
  } as const;
  new Scope(ground, (route: Route) => router.add(route)).declare(pattern, Quiet, {});
  return router.match(roomName(path));
}

/** `roomPath` for values that its types refuse, as JavaScript code can pass them. */
function fillUnchecked(pattern: string, params: object): unknown {
  return Reflect.apply(roomPath, undefined, [pattern, params]);
}

describe("roomPath", () => {
  it.each<[pattern: string, params: Readonly<Record<string, string | number>>, path: string]>([
    ["/", {}, "/"],
    ["/lobby", {}, "/lobby"],
    ["/lobby/", {}, "/lobby"],
    ["/chat/:channel", { channel: "general" }, "/chat/general"],
    ["/chat/:channel/", { channel: "general" }, "/chat/general"],
    ["/chat/:channel", { channel: "general", other: "unused" }, "/chat/general"],
    ["/:a/:b", { a: "x", b: "y" }, "/x/y"],
    ["/org/:id", { id: 7 }, "/org/7"],
    ["/org/:id", { id: 0 }, "/org/0"],
    ["/org/:id", { id: -1.5 }, "/org/-1.5"],
    ["/chat/:channel", { channel: "a b" }, "/chat/a b"],
    ["/chat/:channel", { channel: "..." }, "/chat/..."],
    ["/chat/:channel", { channel: ".hidden" }, "/chat/.hidden"],
    ["/chat/:channel", { channel: "%41" }, "/chat/%41"],
    ["/chat/:channel", { channel: "100%" }, "/chat/100%"],
    ["/chat/:channel", { channel: "..%2f.." }, "/chat/..%2f.."],
    ["/chat/:channel", { channel: "cafe\u0301" }, "/chat/caf\u00e9"],
    ["/chat/:channel", { channel: "$&$1$$" }, "/chat/$&$1$$"],
    ["/chat/:channel", { channel: ":id" }, "/chat/:id"],
    ["/chat/:channel", { channel: "*a" }, "/chat/*a"],
    ["/cafe\u0301/:table", { table: 1 }, "/caf\u00e9/1"],
    ["/v:major.:minor", { major: 1, minor: 2 }, "/v1.2"],
    ["/:file.json", { file: "todo" }, "/todo.json"],
    ["/user/:id(\\d+)", { id: 12 }, "/user/12"],
    ["/user/:id(\\d+)", { id: "12" }, "/user/12"],
    ["/user/:id([a-z]{2})/:tab", { id: "ab", tab: "\u00e9" }, "/user/ab/\u00e9"],
    ["/in/:language((?:en|de)(?:-[A-Z]{2})?)", { language: "de-AT" }, "/in/de-AT"],
    ["/a/:b?", {}, "/a"],
    ["/a/:b?", { b: "x" }, "/a/x"],
    ["/a/:b?/c", {}, "/a/c"],
    ["/a/:b?/c", { b: "x" }, "/a/x/c"],
    ["/a/:b(\\d+)?/c", {}, "/a/c"],
    ["/a/v:b?", {}, "/a/v"],
    ["/:b?", { b: "x" }, "/x"],
    ["/files/**:rest", { rest: "a/b/c" }, "/files/a/b/c"],
    ["/files/**:rest", { rest: "a" }, "/files/a"],
    ["/files/:rest+", { rest: "a/b" }, "/files/a/b"],
    ["/files/:rest*", { rest: "a/b" }, "/files/a/b"],
    ["/files/:rest*", {}, "/files"],
    ["/files/:rest+/edit", { rest: "a/b" }, "/files/a/b/edit"],
    ["/a\\:b/:c", { c: "x" }, "/a:b/x"],
    ["/a\\*", {}, "/a*"],
    ["/\\{a\\}/:b", { b: "x" }, "/{a}/x"],
    ["/\\(a\\)/:b", { b: "x" }, "/(a)/x"],
  ])("fills %s with %j", (pattern, params, path) => {
    expect(fillPattern(pattern, params)).toBe(path);
  });

  it.each<[pattern: string]>([["/:b?"], ["/:b*"]])("builds the root from %s without a value", (pattern) => {
    expect(matchOf(pattern, "/")?.params).toEqual({});
    expect(fillPattern(pattern, {})).toBe("/");
  });

  it("fills a parameter whose constraint matches all the rest", () => {
    expect(matchOf("/files/:rest(.*)", "/files/a/b")?.params).toEqual({ rest: "a/b" });
    expect(fillPattern("/files/:rest(.*)", { rest: "a/b" })).toBe("/files/a/b");
  });

  it("fills a parameter whose constraint has deeply nested groups", () => {
    const pattern = "/a/:x((?:a(?:b(?:c)?)?))";
    expect(matchOf(pattern, "/a/abc")?.params).toEqual({ x: "abc" });
    expect(fillPattern(pattern, { x: "abc" })).toBe("/a/abc");
  });

  it.each<[what: string, value: unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["an empty string", ""],
    ["a boolean", true],
    ["an object", {}],
    ["a list", ["general"]],
    ["a bigint", 7n],
    ["a symbol", Symbol("general")],
    ["a function", () => "general"],
    ["an object that turns into a string", { toString: () => "general" }],
    ["a slash", "/"],
    ["two segments", "a/b"],
    ["a slash at the end", "general/"],
    ["a slash at the beginning", "/general"],
    ["a way up", "../admin"],
    ["a way up and down", "general/../../admin"],
  ])("refuses %s for a parameter of one segment", (_what, channel) => {
    expect(() => fillUnchecked("/chat/:channel", { channel })).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
  });

  it("refuses a missing parameter, and names it and the pattern", () => {
    expect(() => fillUnchecked("/chat/:channel", {})).toThrow(/"channel".*"\/chat\/:channel"/);
  });

  it("ignores inherited properties of the parameters", () => {
    expect(() => fillUnchecked("/:toString", {})).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
    expect(() => fillUnchecked("/:constructor", {})).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
    expect(() => fillUnchecked("/:__proto__", {})).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
    expect(fillUnchecked("/:__proto__", JSON.parse('{"__proto__":"x"}'))).toBe("/x");
  });

  it.each<[pattern: string, params: object]>([
    ["/a/:b?", { b: "" }],
    ["/a/:b?", { b: null }],
    ["/a/:b?", { b: "x/y" }],
    ["/files/:rest*", { rest: "" }],
    ["/files/:rest+", {}],
    ["/files/:rest+", { rest: "" }],
    ["/files/**:rest", {}],
    ["/user/:id(\\d+)", { id: "ann" }],
    ["/user/:id(\\d+)", { id: "12a" }],
    ["/user/:id(\\d+)", { id: 1.5 }],
    ["/user/:id(\\d+)", { id: "1/2" }],
    ["/user/:id(\\d+)/x/:tab", { id: "x", tab: "y" }],
    ["/a/:b(\\d+)?/c", { b: "x" }],
    ["/:x(a|b)", { x: "ab" }],
  ])("refuses for %s the values %j", (pattern, params) => {
    expect(() => fillUnchecked(pattern, params)).toThrow(expect.objectContaining({ code: "ERR_PARAMS" }));
  });

  it.each<[what: string, pattern: string, params: Readonly<Record<string, string>>]>([
    ["a dot", "/chat/:channel", { channel: "." }],
    ["two dots", "/chat/:channel", { channel: ".." }],
    ["dots that only the whole segment makes", "/chat/.:rest", { rest: "." }],
    ["dots from two parameters", "/:a:b", { a: ".", b: "." }],
    ["a query", "/chat/:channel", { channel: "a?b" }],
    ["a number sign", "/chat/:channel", { channel: "a#b" }],
    ["a backslash", "/chat/:channel", { channel: "a\\b" }],
    ["a control", "/chat/:channel", { channel: "a\nb" }],
    ["an override", "/chat/:channel", { channel: "a\u202eb" }],
    ["a lone surrogate", "/chat/:channel", { channel: "\ud800" }],
    ["too many bytes", "/chat/:channel", { channel: "a".repeat(600) }],
    ["a way up in the rest", "/files/**:rest", { rest: "../a" }],
    ["a way up within the rest", "/files/:rest+", { rest: "a/../../b" }],
    ["a way up at the end of the rest", "/files/:rest*", { rest: "a/.." }],
    ["a slash before the rest", "/files/:rest+", { rest: "/a" }],
    ["an empty segment in the rest", "/files/:rest+", { rest: "a//b" }],
    ["a slash after the rest before text", "/files/:rest+/edit", { rest: "a/" }],
    ["too many segments in the rest", "/files/:rest+", { rest: "a/".repeat(20) }],
    ["a pattern without its slash", "chat/:channel", { channel: "a" }],
    ["a wildcard", "/chat/:channel", { channel: "*" }],
    ["a wildcard for many", "/chat/**:rest", { rest: "a/**" }],
  ])("refuses with ERR_PATH %s", (_what, pattern, params) => {
    expect(() => fillPattern(pattern, params)).toThrow(expect.objectContaining({ code: "ERR_PATH" }));
  });

  it.each<[what: string, pattern: string]>([
    ["a wildcard of one star", "/files/*"],
    ["a wildcard of two stars", "/files/**"],
    ["a wildcard within a segment", "/files/*.png"],
    ["an unnamed constraint", "/files/(\\d+)"],
    ["an optional group", "/files{/:name}?"],
    ["a group", "/files/{:name}x"],
  ])("refuses %s, for which no value is possible", (_what, pattern) => {
    expect(() => fillPattern(pattern, { name: "a" })).toThrow(expect.objectContaining({ code: "ERR_ROUTE_PATTERN" }));
  });

  it("answers long values in time", () => {
    const long = "a/".repeat(500_000);
    expect(() => fillPattern("/files/:rest+", { rest: long })).toThrow(expect.objectContaining({ code: "ERR_PATH" }));
    expect(() => fillPattern("/a/:x(a+)", { x: "a".repeat(1_000_000) })).toThrow(
      expect.objectContaining({ code: "ERR_PATH" }),
    );
  });
});

const unit = fc.oneof(
  fc.constantFrom("a", "Z", "0", ".", "-", "%", "%2F", " ", ":", "*", "(", ")", "{", "}", "$&", "\u00e9", "e\u0301"),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
);
/** Any text that may be one segment of a room path, in its normalized form. */
const text = fc
  .string({ unit, minLength: 1, maxLength: 6 })
  .map((value) => value.normalize("NFC"))
  .filter((value) => {
    const name = `/${value}`;
    try {
      return !value.includes("/") && roomName(name) === name;
    } catch {
      return false;
    }
  });
const digits = fc.nat().map(String);
const rest = fc.array(text, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

/** Patterns with possible values of their parameters: `undefined` for an optional one. */
const filled: fc.Arbitrary<readonly [string, Readonly<Record<string, string | undefined>>]> = fc.oneof(
  fc.record({ a: text }).map((params) => ["/x/:a", params] as const),
  fc.record({ a: text, b: text }).map((params) => ["/:a/:b", params] as const),
  fc.record({ a: text, b: text }).map((params) => ["/caf\u00e9 s/:a/y/:b", params] as const),
  fc.record({ a: digits, b: text }).map((params) => ["/u/:a(\\d+)/:b", params] as const),
  fc.record({ a: text }, { requiredKeys: [] }).map((params) => ["/x/:a?", params] as const),
  fc.record({ a: text }).map((params) => ["/x/v:a", params] as const),
  fc.record({ a: digits, b: text }).map((params) => ["/x/:a-:b", params] as const),
  fc.record({ a: rest }).map((params) => ["/x/**:a", params] as const),
  fc.record({ a: text, b: rest }).map((params) => ["/:a/:b+", params] as const),
  fc.record({ a: rest }, { requiredKeys: [] }).map((params) => ["/x/:a*", params] as const),
  fc.record({ a: rest }).map((params) => ["/x/:a+/z", params] as const),
  fc.record({ a: text }).map((params) => ["/\\:x\\*/\\(y\\)\\{z\\}/:a", params] as const),
);

describe("the path of a pattern", () => {
  it("is matched by the same pattern, and yields the same values", () => {
    fc.assert(
      fc.property(filled, ([pattern, params]) => {
        const path = fillPattern(pattern, params);
        expect({ ...matchOf(pattern, path)?.params }).toEqual(params);
      }),
      { numRuns: 2_000 },
    );
  });

  it("leads to a handler with the same values", async () => {
    const app = new App();
    const patterns = ["/x/:a", "/y/:a/:b(\\d+)", "/z/:a+"] as const;
    for (const [index, pattern] of patterns.entries()) app.route(pattern, Teller, { name: `route ${index}` });
    const either = fc.oneof(
      fc.record({ a: text }).map((params) => [0, params] as const),
      fc.record({ a: text, b: digits }).map((params) => [1, params] as const),
      fc.record({ a: rest }).map((params) => [2, params] as const),
    );
    try {
      await fc.assert(
        fc.asyncProperty(either, async ([index, params]) => {
          const url = app.url(`route ${index}`, params);
          const path = fillPattern(patterns[index], params);
          expect(pathOfTarget(url)).toBe(path);
          const client = await connect(app, url);
          expect(await client.readJSON()).toEqual({ path, params });
          client.terminate();
        }),
        { numRuns: 100 },
      );
    } finally {
      await app.close();
    }
  });

  it("keeps its other segments, for any values", () => {
    const anything = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("..", "../..", "%2e%2e", "/", "\\", "."));
    fc.assert(
      fc.property(anything, (value) => {
        let path: string;
        try {
          path = roomPath("/chat/:channel/log", { channel: value });
        } catch (error) {
          expect(["ERR_PARAMS", "ERR_PATH"]).toContain(Reflect.get(Object(error), "code"));
          return;
        }
        const [, first, channel, last, ...others] = path.split("/");
        expect([first, channel, last, others]).toEqual(["chat", value.normalize("NFC"), "log", []]);
      }),
      { numRuns: 2_000 },
    );
  });
});
