/** A path in one of its forms, without the prefix `/where`. `undefined`: the server must refuse it. */
export interface PathForm {
  readonly sent: string;
  readonly canonical: string | undefined;
}

const valid: readonly (readonly [sent: string, canonical: string])[] = [
  ["/a", "/a"],
  ["/a/", "/a"],
  ["/a/b/c", "/a/b/c"],
  ["/A", "/A"],
  ["/%41", "/A"],
  ["/%7Ea", "/~a"],
  ["/a%20b", "/a b"],
  ["/a+b", "/a+b"],
  ["/%2B", "/+"],
  ["/%C3%A9", "/é"],
  ["/%c3%a9", "/é"],
  ["/e%CC%81", "/é"],
  ["/%F0%9F%91%8B", "/👋"],
  ["/%25", "/%"],
  ["/%252e", "/%2e"],
  ["/%252F", "/%2F"],
  ["/...", "/..."],
  ["/.a", "/.a"],
  ["/a.", "/a."],
  ["/..a", "/..a"],
  ["/a;b=c", "/a;b=c"],
  ["/a,b", "/a,b"],
  ["/a:b", "/a:b"],
  ["/a@b", "/a@b"],
  ["/a=b&c", "/a=b&c"],
  ["/!$'()*+", "/!$'()*+"],
  ["/a?x=/../b", "/a"],
  ["/a?x=%zz", "/a"],
  ["/a??", "/a"],
  ["/a/?", "/a"],
  ["/__proto__", "/__proto__"],
  ["/constructor", "/constructor"],
  ["/%2A%2A%2A", "/***"],
  ["/%E2%80%8B", "/\u200b"],
  ["/%EF%BC%8F", "/\uff0f"],
  ["/%E2%81%84", "/\u2044"],
];

const refused = [
  ...[
    "//a",
    "/a//b",
    "//",
    "/a//",
    "/./a",
    "/../a",
    "/a/.",
    "/a/..",
    "/%2e",
    "/%2E%2e/a",
    "/.%2e/a",
    "/a%2fb",
    "/a%2Fb",
  ],
  ...[
    "/a%5cb",
    "/a%00",
    "/a%0a",
    "/a%0d%0aX",
    "/a%09",
    "/a%7f",
    "/a%C2%85",
    "/a%E2%80%AE",
    "/a%E2%81%A6",
    "/a%E2%80%A8",
  ],
  ...[
    "/%",
    "/%4",
    "/%zz",
    "/%u0041",
    "/%ff",
    "/%C0%AF",
    "/%C3",
    "/%ED%A0%80",
    "/%F5%80%80%80",
    "/*",
    "/**",
    "/%2a",
    "/%2A%2a",
  ],
  ...["/a%3Fb", "/a%23b", `/${"a".repeat(520)}`, "/a".repeat(16), `/${"%41".repeat(520)}`, "/a/%2e%2e/b", "/a/%2E/b"],
];

export const pathForms: readonly PathForm[] = [
  ...valid.map(([sent, canonical]) => ({ sent, canonical })),
  ...refused.map((sent) => ({ sent, canonical: undefined })),
];

/** UTF-8 bytes and segments of a path, as documented. */
const limits = { bytes: 512, segments: 16 };
const forbidden = (character: string) => {
  const code = character.codePointAt(0) ?? 0;
  const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const isMark = (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return isControl || isMark || "\\?#".includes(character);
};

/**
 * A second opinion: the canonical path of a request target, by the documentation. It shares no code with the library:
 * it decodes each segment with the decoder of JavaScript.
 */
export function canonicalOf(target: string): string | undefined {
  const path = target.split("?")[0] ?? "";
  const [start, ...rest] = path.split("/");
  if (start !== "" || rest.length === 0) return undefined;
  if (rest.length === 1 && rest[0] === "") return "/";
  const segments = rest.at(-1) === "" && rest.length > 1 ? rest.slice(0, -1) : rest;
  const decoded: string[] = [];
  for (const segment of segments) {
    const text = decodeSegment(segment);
    if (text === undefined || ["", ".", "..", "*", "**"].includes(text) || [...text].some(forbidden)) return undefined;
    if (text.includes("/")) return undefined;
    decoded.push(text);
  }
  const canonical = `/${decoded.join("/")}`;
  return Buffer.byteLength(canonical) > limits.bytes || decoded.length > limits.segments ? undefined : canonical;
}

/** Bytes above ASCII, which Node.js shows as characters up to U+00FF, are bytes of UTF-8. */
function decodeSegment(segment: string): string | undefined {
  if (/[^\0-\xff]/.test(segment)) return undefined;
  const bytes = segment.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  try {
    return decodeURIComponent(bytes).normalize("NFC");
  } catch {
    return undefined;
  }
}
