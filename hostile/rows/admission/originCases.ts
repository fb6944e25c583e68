import type { Dice } from "../../../test/support/dice.js";

/** Origins that are allowed, in serialized form (RFC 6454 6.2). */
export const allowedOrigins = [
  "https://example.com",
  "http://localhost:8080",
  "https://xn--bcher-kva.example",
  "https://chat.example.com:8443",
  "http://127.0.0.1",
];

/** Changes of an origin. Some give another valid origin, and some no origin at all. */
const changes: readonly ((origin: string) => string)[] = [
  (origin) => origin,
  (origin) => `${origin}/`,
  (origin) => `${origin}/path`,
  (origin) => `${origin}?query`,
  (origin) => `${origin}#fragment`,
  (origin) => origin.toUpperCase(),
  (origin) => origin.replace(/^(https?)/, (scheme) => scheme.toUpperCase()),
  (origin) => origin.replace("://", "://evil.com@"),
  (origin) => origin.replace("://", "://user:password@"),
  (origin) => `https://evil.com@${origin.split("://")[1]}`,
  (origin) => `${origin}.evil.com`,
  (origin) => `${origin}.`,
  (origin) => `${origin}:443`,
  (origin) => `${origin}:80`,
  (origin) => `${origin}:0`,
  (origin) => `${origin}:`,
  (origin) => `${origin}:65536`,
  (origin) => origin.replace(/:(\d+)$/, ":0$1"),
  (origin) => origin.replace("https:", "http:"),
  (origin) => origin.replace("http:", "https:"),
  (origin) => origin.replace(/^https?/, "ws"),
  (origin) => origin.replace(/^https?/, "wss"),
  (origin) => origin.replace("://", ":"),
  (origin) => origin.replace("://", ":///"),
  (origin) => origin.replace("://", ":\\\\"),
  (origin) => origin.replace("://", "://evil-"),
  (origin) => origin.replace("://", "://www."),
  (origin) => origin.replace("e", "%65"),
  (origin) => origin.replace("e", "\u0435"),
  (origin) => origin.replace("a", "\uff41"),
  (origin) => origin.replace(".", "\u3002"),
  (origin) => origin.replace("xn--bcher-kva", "b\u00fccher"),
  (origin) => origin.replace("127.0.0.1", "2130706433"),
  (origin) => origin.replace("127.0.0.1", "127.1"),
  (origin) => origin.replace("127.0.0.1", "0x7f.0.0.1"),
  (origin) => origin.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
  (origin) => origin.replace("localhost", "LOCALHOST"),
  (origin) => origin.replace("example", "exam\tple"),
  (origin) => `${origin} https://evil.com`,
  (origin) => `https://evil.com ${origin}`,
  (origin) => `${origin},https://evil.com`,
  (origin) => `${origin}\\@evil.com`,
  (origin) => `view-source:${origin}`,
  (origin) => `blob:${origin}/id`,
  (origin) => origin.slice(0, -1),
  (origin) => `"${origin}"`,
];

const others = [
  ...["null", "NULL", "undefined", "https://", "http://.", "file://", "about:blank", "data:text/html,x", "*", "/"],
  ...[
    "https://evil.com",
    "javascript:alert(1)",
    "chrome-extension://abcdef",
    "https://*.example.com",
    "x".repeat(8_000),
  ],
];

export interface OriginCase {
  readonly origin: string;
  readonly isAllowed: boolean;
}

/** So many cases: each change of each origin first, then two changes at once. An origin is allowed if it is equal. */
export function originCases(dice: Dice, count: number): OriginCase[] {
  const once = allowedOrigins.flatMap((origin) => changes.map((change) => change(origin)));
  const list = [...allowedOrigins, ...others, ...once];
  while (list.length < count) {
    const [origin, first, second] = [dice.of(allowedOrigins), dice.of(changes), dice.of(changes)];
    if (origin !== undefined && first !== undefined && second !== undefined) list.push(second(first(origin)));
  }
  return list.slice(0, count).map((origin) => ({ origin, isAllowed: allowedOrigins.includes(origin) }));
}
