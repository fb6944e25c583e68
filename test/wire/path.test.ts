import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EnfiladeError } from "../../src/errors.js";
import { defaultPathLimits, encodePath, pathOfTarget, type RoomPath, roomName } from "../../src/wire/path.js";

/** A target as Node passes it: one character for each byte of its UTF-8. */
function asTarget(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** The error that `use` throws; fails when it throws none. */
function thrownBy(use: () => unknown): unknown {
  try {
    use();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

function isRefused(use: () => unknown): void {
  const error = thrownBy(use);
  expect(error).toBeInstanceOf(EnfiladeError);
  expect(error).toMatchObject({ code: "ERR_PATH" });
}

const { pathBytesMax, pathSegmentsMax } = defaultPathLimits;
const forbidden = /[\\?#\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

function expectCanonical(path: string): void {
  expect(path.startsWith("/")).toBe(true);
  expect(path).toBe(path.normalize("NFC"));
  expect(path).not.toMatch(forbidden);
  expect(Buffer.byteLength(path)).toBeLessThanOrEqual(pathBytesMax);
  if (path === "/") return;
  const segments = path.slice(1).split("/");
  expect(segments.length).toBeLessThanOrEqual(pathSegmentsMax);
  for (const segment of segments) expect(["", ".", ".."]).not.toContain(segment);
}

describe("pathOfTarget", () => {
  it.each<[what: string, target: string]>([
    ["a wildcard", "/a/*"],
    ["a wildcard for many", "/org/7/**"],
    ["an encoded wildcard", "/org/%2A%2a"],
    ["a wildcard before others", "/**/a"],
    ["a dot segment", "/a/./b"],
    ["a dot segment alone", "/."],
    ["a dot segment at the end", "/a/."],
    ["a dot segment before a trailing slash", "/a/./"],
    ["a parent segment", "/a/../b"],
    ["a parent segment alone", "/.."],
    ["a parent segment at the end", "/a/.."],
    ["a parent segment before the query", "/a/..?b"],
    ["an encoded dot segment", "/a/%2e/b"],
    ["an encoded parent segment", "/a/%2e%2E/b"],
    ["a half encoded parent segment", "/a/.%2e/b"],
    ["an encoded parent segment at the end", "/%2E."],
    ["an empty segment", "/a//b"],
    ["several empty segments", "/a////b"],
    ["an empty segment at the end", "/a//"],
    ["a host", "//host"],
    ["a host and a path", "//host/a"],
    ["slashes alone", "//"],
    ["three slashes", "///"],
    ["an encoded slash", "/a%2Fb"],
    ["an encoded slash in lower case", "/a%2fb"],
    ["an encoded slash at the end", "/a%2F"],
    ["an encoded backslash", "/a%5Cb"],
    ["an encoded backslash in lower case", "/a%5cb"],
    ["an encoded question mark", "/a%3Fb"],
    ["an encoded question mark in lower case", "/a%3fb"],
    ["an encoded number sign", "/a%23b"],
    ["a raw backslash", "/a\\b"],
    ["a raw backslash for a slash", "\\a"],
    ["a raw number sign", "/a#b"],
    ["an encoded NUL", "/a%00"],
    ["an encoded line feed", "/a%0Ab"],
    ["an encoded carriage return", "/a%0Db"],
    ["an encoded tab", "/a%09b"],
    ["an encoded escape", "/%1B%5B31m"],
    ["an encoded DEL", "/a%7F"],
    ["an encoded C1 control", "/a%C2%85"],
    ["the last C1 control", "/a%C2%9F"],
    ["a raw control", "/a\u0001b"],
    ["a raw DEL", "/a\u007f"],
    ["a left-to-right embedding", "/a%E2%80%AA"],
    ["a right-to-left embedding", "/a%E2%80%AB"],
    ["a pop of directional formatting", "/a%E2%80%AC"],
    ["a left-to-right override", "/a%E2%80%AD"],
    ["a right-to-left override", "/a%E2%80%AEb"],
    ["a right-to-left override as raw bytes", asTarget("/a\u202eb")],
    ["an isolate", "/a%E2%81%A6"],
    ["a pop of an isolate", "/a%E2%81%A9"],
    ["a percent sign at the end", "/a%"],
    ["a percent sign and one digit at the end", "/a%4"],
    ["a percent sign before no digits", "/a%zz"],
    ["a percent sign before half a number", "/a%4g"],
    ["a percent sign before a sign", "/a%+4"],
    ["a percent sign before a space", "/a% 4"],
    ["a percent sign twice", "/a%%41"],
    ["a percent sign whose digits the query cuts off", "/a%?41"],
    ["a lone continuation byte", "/a%80"],
    ["a lone leading byte", "/a%C3"],
    ["a truncated character", "/a%E2%82"],
    ["a leading byte before text", "/a%C3b"],
    ["a byte that is never UTF-8", "/a%FF"],
    ["a character past the last of Unicode", "/a%F4%90%80%80"],
    ["an overlong slash", "/a%C0%AFb"],
    ["an overlong dot segment", "/%C0%AE%C0%AE/a"],
    ["an overlong NUL", "/a%C0%80"],
    ["a slash overlong in three bytes", "/a%E0%80%AF"],
    ["a slash overlong in four bytes", "/a%F0%80%80%AF"],
    ["an encoded high surrogate", "/a%ED%A0%80"],
    ["an encoded low surrogate", "/a%ED%B0%80"],
    ["an encoded pair of surrogates", "/a%ED%A0%BD%ED%B8%80"],
    ["raw bytes that are not UTF-8", "/a\u00e9"],
    ["a character that is no byte", "/a\u0142"],
    ["the absolute form", "http://h/x"],
    ["the absolute form of a WebSocket URL", "ws://h/x"],
    ["the absolute form with an empty path", "http://h"],
    ["the asterisk form", "*"],
    ["the authority form", "example.com:80"],
    ["a path without its slash", "a/b"],
    ["an encoded slash for the first", "%2Fa"],
    ["an encoded byte order mark before the slash", "%EF%BB%BF/a"],
    ["a raw byte order mark before the slash", asTarget("\ufeff/a")],
    ["nothing", ""],
    ["a query alone", "?a=b"],
  ])("refuses %s", (_what, target) => {
    isRefused(() => pathOfTarget(target));
  });

  it.each<[what: string, target: string, path: string]>([
    ["the root", "/", "/"],
    ["a root with a query", "/?a=b", "/"],
    ["a plain path", "/chat/general", "/chat/general"],
    ["one trailing slash", "/chat/a/", "/chat/a"],
    ["a trailing slash before a query", "/chat/a/?b", "/chat/a"],
    ["a query", "/chat/a?token=x", "/chat/a"],
    ["an empty query", "/chat/a?", "/chat/a"],
    ["a query with characters that a path must not have", "/a?/../%zz//\\#?%00", "/a"],
    ["case", "/Chat/GENERAL", "/Chat/GENERAL"],
    ["an encoded letter", "/%61", "/a"],
    ["an encoded percent sign, decoded once", "/a%2541", "/a%41"],
    ["an encoded percent sign before a slash's digits, decoded once", "/a%252Fb", "/a%2Fb"],
    ["an encoded percent sign before dots, decoded once", "/%252e%252e", "/%2e%2e"],
    ["an encoded percent sign alone", "/100%25", "/100%"],
    ["an encoded space", "/a%20b", "/a b"],
    ["a plus sign, which is no space", "/a+b", "/a+b"],
    ["encoded UTF-8", "/caf%C3%A9", "/caf\u00e9"],
    ["encoded UTF-8 in lower case", "/caf%c3%a9", "/caf\u00e9"],
    ["raw UTF-8 bytes", asTarget("/caf\u00e9"), "/caf\u00e9"],
    ["raw and encoded bytes of one character", "/caf\u00c3%A9", "/caf\u00e9"],
    ["a decomposed accent, composed", "/cafe%CC%81", "/caf\u00e9"],
    ["a decomposed accent as raw bytes, composed", asTarget("/cafe\u0301"), "/caf\u00e9"],
    ["a decomposed syllable, composed", asTarget("/\u1112\u1161\u11ab"), "/\ud55c"],
    ["a character outside the basic plane", "/%F0%9F%98%80", "/\u{1f600}"],
    ["__proto__", "/__proto__", "/__proto__"],
    ["constructor", "/constructor/prototype", "/constructor/prototype"],
    ["three dots", "/...", "/..."],
    ["names that begin with dots", "/.well-known/..a/a..", "/.well-known/..a/a.."],
    ["an at sign and a colon", "/@ann/a:b", "/@ann/a:b"],
    ["the other marks", "/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"],
    ["encoded braces and quotes", "/%7Ba%7D%22%3C%3E", '/{a}"<>'],
  ])("accepts %s", (_what, target, path) => {
    expect(pathOfTarget(target)).toBe(path);
  });

  it("counts the bytes of the decoded path, not its characters", () => {
    const fits = `/${"\u00e9".repeat(255)}`;
    expect(Buffer.byteLength(fits)).toBe(511);
    expect(pathOfTarget(asTarget(fits))).toBe(fits);
    expect(pathOfTarget(asTarget(`${fits}a`))).toBe(`${fits}a`);
    isRefused(() => pathOfTarget(asTarget(`${fits}\u00e9`)));
  });

  it("accepts 512 bytes however they are encoded, and refuses 513", () => {
    expect(pathOfTarget(`/${"a".repeat(511)}`)).toHaveLength(512);
    expect(pathOfTarget(`/${"%61".repeat(511)}`)).toHaveLength(512);
    expect(pathOfTarget(`/${"a".repeat(511)}/?${"b".repeat(4096)}`)).toHaveLength(512);
    isRefused(() => pathOfTarget(`/${"a".repeat(512)}`));
    isRefused(() => pathOfTarget(`/${"%61".repeat(512)}`));
  });

  it("accepts 16 segments and refuses 17", () => {
    expect(pathOfTarget("/a".repeat(16))).toBe("/a".repeat(16));
    expect(pathOfTarget(`${"/a".repeat(16)}/`)).toBe("/a".repeat(16));
    isRefused(() => pathOfTarget("/a".repeat(17)));
  });

  it("accepts other limits", () => {
    const limits = { pathBytesMax: 8, pathSegmentsMax: 2 };
    expect(pathOfTarget("/abc/def", limits)).toBe("/abc/def");
    isRefused(() => pathOfTarget("/abc/defg", limits));
    isRefused(() => pathOfTarget("/a/b/c", limits));
    const wide = { pathBytesMax: 100_000, pathSegmentsMax: 1_000 };
    expect(pathOfTarget("/ab".repeat(1_000), wide)).toBe("/ab".repeat(1_000));
  });

  it("answers inputs of a million characters in time", () => {
    const inputs = ["/", "a", "%", "%41", "\u0000", "/a", "/.", "e\u00cc\u0081", "\\", "?", "%2", "%%"];
    for (const input of inputs) {
      const long = input.repeat(Math.ceil(1_000_000 / input.length));
      isRefused(() => pathOfTarget(`/${long}/\u00ff`.replaceAll("?", "%3F")));
      isRefused(() => roomName(`/${long}/\\`));
    }
    expect(pathOfTarget(`/a?${"?".repeat(1_000_000)}`)).toBe("/a");
  });

  it("answers long inputs in time if the limits allow them", () => {
    const wide = { pathBytesMax: 1_000_000, pathSegmentsMax: 1_000_000 };
    expect(pathOfTarget("/a".repeat(200_000), wide)).toHaveLength(400_000);
    expect(pathOfTarget(`/${"%C3%A9".repeat(100_000)}`, wide)).toHaveLength(100_001);
    isRefused(() => pathOfTarget(`${"/a".repeat(200_000)}//`, wide));
    isRefused(() => pathOfTarget(`/${"%C3%A9".repeat(100_000)}%`, wide));
    // Combining marks in a wrong order, which normalization has to sort.
    isRefused(() => roomName(`/a${"\u0301\u0323".repeat(1_000)}\\`, wide));
  });

  it("quotes a refused path without its control characters", () => {
    const error = thrownBy(() => pathOfTarget("/a%0A%1B%5B31m"));
    expect(String(error)).not.toMatch(/[\p{Cc}]/u);
  });

  it.each<[target: string, reason: RegExp]>([
    ["/a%6zb", /"%" is not followed by two hexadecimal digits/],
    ["/a%", /"%" is not followed by two hexadecimal digits/],
    ["/a%2fb", /has an encoded slash/],
    ["/a\u00ff", /is not UTF-8/],
    ["/a\u0100", /has a character above U\+00FF/],
    ["/a%FF", /is not UTF-8/],
    ["/a//b", /has an empty segment/],
    ["/a/../b", /has a "\.\." segment/],
    ["/a/**", /has a "\*\*" segment/],
    ["/a#", /has a control character or another forbidden character/],
    ["a", /does not begin with "\/"/],
    ["/a".repeat(17), /at most 16 segments .*, got 17/],
    ["a".repeat(2_000), /at most 512 bytes/],
  ])("names the reason why %j is refused", (target, reason) => {
    expect(() => pathOfTarget(target)).toThrow(reason);
  });

  it("has the error of the decoder as the cause of its own", () => {
    expect(thrownBy(() => pathOfTarget("/a%FF"))).toMatchObject({ cause: expect.any(TypeError) });
  });

  it("throws only ERR_PATH, and returns only canonical paths", () => {
    const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
    const encoded = fc.integer({ min: 0, max: 255 }).map((code) => `%${code.toString(16).padStart(2, "0")}`);
    const usual = fc.constantFrom(
      "/",
      ".",
      "..",
      "//",
      "%",
      "%2",
      "?",
      "#",
      "\\",
      "a",
      "e\u00cc\u0081",
      "\u00c3",
      "\u00a9",
    );
    const latin1 = fc.string({ unit: fc.oneof(byte, encoded, usual), maxLength: 60 });
    const target = fc.oneof(
      latin1,
      latin1.map((text) => `/${text}`),
    );
    fc.assert(
      fc.property(target, (text) => {
        try {
          expectCanonical(pathOfTarget(text));
        } catch (error) {
          if (!(error instanceof EnfiladeError)) throw error;
          expect(error.code).toBe("ERR_PATH");
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("roomName", () => {
  it.each<[what: string, name: string, path: string]>([
    ["the root", "/", "/"],
    ["a trailing slash", "/chat/a/", "/chat/a"],
    ["a percent sign, which stands for itself", "/a%41%2F", "/a%41%2F"],
    ["a decomposed accent", "/cafe\u0301", "/caf\u00e9"],
    ["a space", "/a b", "/a b"],
    ["__proto__", "/__proto__", "/__proto__"],
    ["a pair of surrogates", "/\ud83d\ude00", "/\u{1f600}"],
  ])("accepts %s", (_what, name, path) => {
    expect(roomName(name)).toBe(path);
  });

  it.each<[what: string, name: string]>([
    ["a lone high surrogate", "/a\ud800"],
    ["a lone low surrogate", "/\udc00a"],
    ["a pair of surrogates in the wrong order", "/\ude00\ud83d"],
    ["a lone surrogate before a slash", "/a\ud83d/b"],
    ["no slash at the beginning", "chat"],
    ["nothing", ""],
    ["an empty segment", "/a//b"],
    ["an empty segment at the end", "/a//"],
    ["slashes alone", "//"],
    ["a dot segment", "/a/."],
    ["a parent segment", "/a/../b"],
    ["a query", "/a?b"],
    ["a number sign", "/a#b"],
    ["a backslash", "/a\\b"],
    ["a control", "/a\u0000"],
    ["a line separator", "/a\u2028"],
    ["an override", "/a\u202e"],
    ["too many bytes", `/${"a".repeat(512)}`],
    ["too many bytes in few characters", `/${"\u{1f600}".repeat(128)}`],
    ["bytes that only the normal form has", `/${"\u0958".repeat(100)}`],
    ["too many segments", "/a".repeat(17)],
  ])("refuses %s", (_what, name) => {
    isRefused(() => roomName(name));
  });

  it.each([undefined, null, 7, {}, ["/a"], new URL("http://h/a")])("refuses %s, which is not a string", (value) => {
    isRefused(() => Reflect.apply(roomName, undefined, [value]));
  });

  it("returns its own results unchanged", () => {
    const unit = fc.oneof(
      { weight: 3, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) },
      fc.constantFrom(
        "/",
        ".",
        "e",
        "\u0301",
        "\u0323",
        "\u1112",
        "\u1161",
        "\u11ab",
        "\u0958",
        "\u212a",
        "%",
        "\ud800",
      ),
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
        let once: RoomPath;
        try {
          once = roomName(`/${text}`);
        } catch (error) {
          if (!(error instanceof EnfiladeError)) throw error;
          expect(error.code).toBe("ERR_PATH");
          return;
        }
        expectCanonical(once);
        expect(roomName(once)).toBe(once);
        expect(roomName(`${once === "/" ? "" : once}/`)).toBe(once);
      }),
      { numRuns: 3_000 },
    );
  });
});

/** A segment that a room path may have. */
const segment = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom("a", "%", "%41", ".", "e\u0301", "\u00e9", " ", "+", "\u{1f600}"),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 6,
  })
  .map((text) => text.normalize("NFC"))
  .filter(
    (text) =>
      !/[/]/.test(text) &&
      !forbidden.test(text) &&
      ![".", "..", "*", "**"].includes(text) &&
      !/[\p{Zl}\p{Zp}]/u.test(text),
  );
const segments = fc.array(segment, { minLength: 1, maxLength: 6 });

/** How one target spells its path; `encodes` has for each byte whether it is percent-encoded. */
const spelling = fc.record({
  encodes: fc.array(fc.boolean(), { minLength: 1, maxLength: 16 }),
  upperCase: fc.boolean(),
  form: fc.constantFrom("NFC", "NFD"),
  slash: fc.constantFrom("", "/"),
  query: fc.constantFrom("", "?", "?a=b", "?/../%"),
});
type Spelling = typeof spelling extends fc.Arbitrary<infer Value> ? Value : never;

function spell(parts: readonly string[], { encodes, upperCase, form, slash, query }: Spelling): string {
  let index = 0;
  const encodedPart = (part: string) =>
    [...Buffer.from(part.normalize(form))].map((byte) => {
      index += 1;
      const raw = String.fromCharCode(byte);
      if (!encodes[index % encodes.length] && raw !== "%") return raw;
      const digits = byte.toString(16).padStart(2, "0");
      return `%${upperCase ? digits.toUpperCase() : digits}`;
    });
  return parts.map((part) => `/${encodedPart(part).join("")}`).join("") + slash + query;
}

describe("equal paths", () => {
  it("are reached by every spelling of the same segments", () => {
    fc.assert(
      fc.property(segments, spelling, spelling, (parts, one, other) => {
        const path = `/${parts.join("/")}`;
        expect(pathOfTarget(spell(parts, one))).toBe(path);
        expect(pathOfTarget(spell(parts, other))).toBe(path);
        expect(roomName(path)).toBe(path);
      }),
      { numRuns: 1_000 },
    );
  });

  it("are not reached by targets with other segments", () => {
    const other = fc.oneof(
      segments,
      segments.map((parts) => [parts.join("")]),
    );
    fc.assert(
      fc.property(segments, other, spelling, spelling, (left, right, one, two) => {
        const equal = left.length === right.length && left.every((part, index) => part === right[index]);
        expect(pathOfTarget(spell(left, one)) === pathOfTarget(spell(right, two))).toBe(equal);
      }),
      { numRuns: 1_000 },
    );
  });

  it("differ from the same text split into other segments", () => {
    const cut = fc.tuple(fc.array(segment, { minLength: 2, maxLength: 5 }), fc.nat());
    fc.assert(
      fc.property(cut, spelling, ([parts, at], how) => {
        const index = 1 + (at % (parts.length - 1));
        const joined = [...parts.slice(0, index - 1), `${parts[index - 1]}${parts[index]}`, ...parts.slice(index + 1)];
        expect(pathOfTarget(spell(joined, how))).not.toBe(pathOfTarget(spell(parts, how)));
      }),
    );
  });
});

describe("encodePath", () => {
  it("returns a target that reaches the path", () => {
    fc.assert(
      fc.property(segments, (parts) => {
        const path = roomName(`/${parts.join("/")}`);
        expect(encodePath(path)).toMatch(/^[!-~]+$/);
        expect(pathOfTarget(encodePath(path))).toBe(path);
      }),
      { numRuns: 1_000 },
    );
  });

  it("keeps the root", () => {
    expect(encodePath(roomName("/"))).toBe("/");
  });

  it("returns a target that a URL parser does not change", () => {
    fc.assert(
      fc.property(segments, (parts) => {
        const encoded = encodePath(roomName(`/${parts.join("/")}`));
        expect(pathOfTarget(new URL(encoded, "ws://localhost").pathname)).toBe(pathOfTarget(encoded));
      }),
    );
  });
});
