import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPage, root } from "./pages.js";

/** The claims about Enfilade in the comparison of the README, and the tests that show them. */
const claims: Readonly<
  Record<string, readonly [claim: string, ...shownBy: (readonly [file: string, title: string])[]]>
> = {
  "is a": ["library", ["test/package.test.ts", "works from JavaScript"]],
  clients: [
    "any; own in TypeScript",
    ["test/foreign/foreign.test.ts", "talks to its room, and the other members receive it"],
    ["test/package.test.ts", "has a client that a bundler can put into a page, and that works in a browser"],
  ],
  "HTTP fallback": ["yes", ["test/client/http.test.ts", "uses HTTP at the third attempt, with requests"]],
  "many rooms on one socket": [
    "yes",
    ["test/client/shared.test.ts", "opens many rooms over one WebSocket, each with its own handler, id, presence"],
  ],
  rooms: ["URL paths", ["test/foreign/foreign.test.ts", "receives nothing from another room"]],
  "missed messages": [
    "by position",
    [
      "test/faults/faults.test.ts",
      "every client sees each publication once and in order, or gets a report of the loss",
    ],
  ],
  presence: [
    "users",
    ["test/room/presence.test.ts", "counts a user with several tabs once, and an anonymous connection by its id"],
  ],
  "shared state": ["no"],
  "many nodes": [
    "Redis, NATS",
    [
      "test/backplane/conformance.test.ts",
      "gives every member of a room with history the same order, from any publishing node",
    ],
  ],
};

/** The cells of the table below the heading, without its header. */
function rowsBelow(heading: string): string[][] {
  const { prose } = readPage("README.md");
  const start = prose.indexOf(heading);
  const table = prose.slice(start).filter((line) => line.startsWith("|"));
  const cells = table.map((line) => line.split("|").map((cell) => cell.trim()));
  return cells.slice(2, 2 + Object.keys(claims).length);
}

describe("the comparison of the README", () => {
  const rows = rowsBelow("## Compared with others");

  it("claims of Enfilade what is listed here, and nothing else", () => {
    const claimed = Object.entries(claims).map(([subject, [claim]]) => [subject, claim]);
    expect(rows.map(([, subject, claim]) => [subject, claim])).toEqual(claimed);
  });

  const shown = Object.values(claims).flatMap(([claim, ...tests]) => tests.map((test) => [claim, ...test] as const));
  it.each(shown)("claims %j, which %s shows: %s", (_claim, file, title) => {
    expect(readFileSync(join(root, file), "utf8").includes(title)).toBe(true);
  });
});
