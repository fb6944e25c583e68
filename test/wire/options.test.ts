import { describe, expect, it } from "vitest";
import { EnfiladeError } from "../../src/errors.js";
import { checkName, checkNames, describeAddress } from "../../src/wire/options.js";

const names = ["token", "schema", "join", "heartbeatMs", "queueBytesMax", "queueMessagesMax", "a"];

/** The message of the error that `check` throws. */
function messageOf(check: () => void): string {
  try {
    check();
  } catch (error) {
    expect(error).toBeInstanceOf(EnfiladeError);
    expect(error).toMatchObject({ code: "ERR_OPTION" });
    return error instanceof EnfiladeError ? error.message : "";
  }
  return expect.fail("nothing was thrown");
}

function suggestionFor(name: string): string | undefined {
  return /did you mean "(.*?)"/.exec(messageOf(() => checkName("no option", name, names)))?.[1];
}

describe("checkNames", () => {
  it("accepts every known name with any value, and no names at all", () => {
    expect(() => checkNames("connect()", { token: undefined, join: 1 }, names)).not.toThrow();
    expect(() => checkNames("connect()", {}, names)).not.toThrow();
  });

  it("refuses an unknown name with the nearest one and a list of all names", () => {
    expect(messageOf(() => checkNames("connect()", { token: "x", tokn: "x" }, ["token", "debug"]))).toBe(
      'connect() has no option "tokn"; did you mean "token"? It has: token, debug',
    );
  });

  it("suggests no name if none is near", () => {
    expect(messageOf(() => checkNames("connect()", { colour: "red" }, ["token", "debug"]))).toBe(
      'connect() has no option "colour". It has: token, debug',
    );
  });

  it.each([
    [null, "null"],
    ["fast", "string"],
    [7, "number"],
  ])("refuses options that are not an object: %j", (options, shown) => {
    // JavaScript code can pass this.
    const given = options as unknown as object;
    expect(messageOf(() => checkNames("connect()", given, names))).toBe(`connect() takes an object, got ${shown}`);
  });

  it.each(["constructor", "toString", "__proto__"])("refuses %s, which every object inherits", (name) => {
    expect(messageOf(() => checkNames("connect()", JSON.parse(`{"${name}":1}`), names))).toContain(`"${name}"`);
  });
});

describe("the nearest name", () => {
  it.each([
    ["tokn", "token"],
    ["tokens", "token"],
    ["tokem", "token"],
    ["shema", "schema"],
    ["jion", "join"],
    ["b", "a"],
    ["heartBeatMS", "heartbeatMs"],
    ["heartbeat", "heartbeatMs"],
    ["queueByteMax", "queueBytesMax"],
    ["queueMessageMax", "queueMessagesMax"],
  ])("to %s is %s", (name, nearest) => {
    expect(suggestionFor(name)).toBe(nearest);
  });

  it.each(["", "reconnect", "tkne!", "nioj", "heart"])("to %s does not exist: it would need too many edits", (name) => {
    expect(suggestionFor(name)).toBeUndefined();
  });

  it("has the fewest edits, and the first of equals is taken", () => {
    const suggested = (name: string, among: string[]) => messageOf(() => checkName("no option", name, among));
    expect(suggested("message", ["massages", "messages", "massage"])).toContain('did you mean "messages"');
    expect(suggested("cat", ["car", "bat"])).toContain('did you mean "car"');
    expect(suggested("TOKEN", ["taken", "token"])).toContain('did you mean "token"');
  });

  it("to a very long name does not exist, and is searched without deep recursion", () => {
    expect(suggestionFor("x".repeat(1_000_000))).toBeUndefined();
  });
});

describe("describeAddress", () => {
  it.each([
    ["redis://user:pass@host:6379/0", '"redis://***@host:6379/0"'],
    ["redis:/user:p@ss@host", '"***@host"'],
    ["http://localhost", '"http://localhost"'],
    [{ token: "secret", user: "ann" }, "an object with token, user"],
    [["nats://:pass@a", 7], '["nats://***@a", 7]'],
    [{}, "an object with no properties"],
    [undefined, "undefined"],
  ])("describes %j without its password", (address, expected) => {
    expect(describeAddress(address)).toBe(expected);
  });
});
